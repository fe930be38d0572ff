"""Who answers: an OpenAI-compatible server, or the built-in echo."""
