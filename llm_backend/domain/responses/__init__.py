"""Responses: answers that are kept here, whatever the upstream knows."""
