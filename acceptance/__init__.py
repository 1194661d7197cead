"""The engine of the Port Nimara acceptance suite.

Data flows one way: target -> transports -> facts -> checks -> outcomes -> verdict -> evidence -> reports.
"""

__version__ = "0.1.0"
