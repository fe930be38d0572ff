"""All commands of the command line, joined."""

import typer

from llm_backend.cli.accounts import accounts
from llm_backend.cli.chat import chat
from llm_backend.cli.config import config
from llm_backend.cli.data import erase, export, imports
from llm_backend.cli.database import database
from llm_backend.cli.doctor import doctor
from llm_backend.cli.echo import echo
from llm_backend.cli.keys import keys
from llm_backend.cli.serve import dev, serve
from llm_backend.cli.spec import spec
from llm_backend.cli.tokens import tokens
from llm_backend.cli.usage import usage
from llm_backend.cli.users import users

program = typer.Typer(
    name="llm-backend",
    help="Your own OpenAI platform in one Python process and one database.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
program.command()(serve)
program.command()(dev)
program.command()(chat)
program.command()(echo)
program.command()(doctor)
program.command()(export)
program.command()(erase)
program.add_typer(accounts, name="accounts", help="Accounts, each with keys of its own.")
program.add_typer(keys, name="keys", help="Keys of an account.")
program.add_typer(users, name="users", help="The people whom accounts are for.")
program.add_typer(imports, name="import", help="Data of another database, brought into this one.")
program.add_typer(usage, name="usage", help="What was used, and what it cost.")
program.add_typer(tokens, name="tokens", help="The tables of tokenizers.")
program.add_typer(database, name="db", help="The database's schema.")
program.add_typer(spec, name="spec", help="The contract.")
program.add_typer(config, name="config", help="What is set, and where it comes from.")
