"""What the website needs that is not ours: NocoDB, a mail server, reCAPTCHA."""
