"""The command line. Light by itself: every worker process comes by here, and runs no command."""

import sys

from llm_backend.loading import loading


def main() -> None:
    """Run the command; what a user can mend is one line on standard error, not a traceback."""
    with loading():
        from llm_backend.cli.program import program  # noqa: PLC0415 (as said above)
        from llm_backend.cli.refusals import refusing  # noqa: PLC0415 (as said above)
    sys.exit(refusing(program))


if __name__ == "__main__":
    main()
