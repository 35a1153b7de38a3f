"""The lines of log.txt: what training says, in words."""

from __future__ import annotations

from specc.train.events import EpochDone, Event, Finished, Noted, Started, Took

REASONS = {
    "epochs": "all epochs are done",
    "early": "the watched figure no longer became better",
    "interrupted": "it was interrupted and can be resumed",
}


def line(event: Event) -> str:
    """A line for the log, or several; "" for what is not worth one."""
    if isinstance(event, Took):
        return f"weights: {event.sentence}"
    if isinstance(event, Noted):
        return f"data: {event.sentence}"
    if isinstance(event, Started):
        train, validation, test = event.parts
        samples = f"{train} samples train, {validation} validate, {test} test"
        done = f", continuing after epoch {event.done}" if event.done else ""
        size = f"{event.parameters:,} parameters on {event.device} in {event.how}"
        return f"{event.network}: {size}; {samples}; {event.epochs} epochs{done}"
    if isinstance(event, EpochDone):
        numbers = ", ".join(f"{name} {value:.4g}" for name, value in event.row.items() if name != "epoch")
        return f"epoch {event.epoch}: {numbers}{' (best)' if event.best else ''}"
    if isinstance(event, Finished):
        numbers = ", ".join(f"{name} {value:.4g}" for name, value in event.test.items())
        said = "".join(f"; {each}" for each in event.verdict)
        return f"ended: {REASONS[event.reason]}; {event.seconds:.1f} s; test: {numbers or 'not yet'}{said}"
    return ""
