"""Where HTTP ends: limits, identity, and the words for everything that goes wrong."""
