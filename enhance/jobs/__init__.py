"""Jobs on captions that exist: `enhance <name> …` is the module of that name, with its `main`."""
