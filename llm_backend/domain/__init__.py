"""What this service is about, free of HTTP."""
