"""The tests mirror llm_backend/."""
