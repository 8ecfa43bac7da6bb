"""Language models that merge: a server that speaks OpenAI's chat completions, or one in process."""
