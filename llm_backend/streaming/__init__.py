"""Bytes in flight: events split, mended, queued and framed. Knows no account."""
