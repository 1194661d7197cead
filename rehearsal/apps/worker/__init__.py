"""Stand-in of the CRM worker: a real BullMQ worker in Python."""
