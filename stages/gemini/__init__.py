"""Google's Gemini API, by its own SDK: pictures and whole videos."""
