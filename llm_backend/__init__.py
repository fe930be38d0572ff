"""Your own OpenAI platform in one Python process and one database."""
