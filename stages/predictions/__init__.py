"""Models that are run one prediction at a time, as Replicate's are: each has input fields of its
own, and a prediction is created once, watched until it ends, and paid whoever reads it."""
