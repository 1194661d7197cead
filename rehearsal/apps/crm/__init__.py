"""Stand-in of the CRM web application (Next.js, better-auth, Socket.IO) in Python."""
