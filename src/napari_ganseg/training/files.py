"""The names of the files in a run folder."""

JOB, CONFIG, INPUTS, CASES = "job.json", "config.json", "inputs.json", "cases.json"
PROGRESS, CONTROL, LOCK, LOG, FAULT, CHILD = (
    "progress.jsonl", "control", "training.lock", "log.txt", "fault.json", "child.json",
)  # fmt: skip
WANTED, SHOWN, EXAMPLES = "preview.json", "preview.slice", "examples.png"
LAST, PREVIOUS = "last.train.safetensors", "previous.train.safetensors"
OUTCOME, FINISHED = "outcome.json", "finished.json"
