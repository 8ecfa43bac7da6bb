"""The captioners over HTTP: AI-Toolkit's JoyCaption contract, and OpenAI's chat completions."""
