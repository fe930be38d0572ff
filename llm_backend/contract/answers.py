"""Whether what is told of responses is what the document says it is."""

from llm_backend.contract.descent import find_fault
from llm_backend.contract.faults import dotted
from llm_backend.contract.operations import operations
from llm_backend.contract.schemas import Schemas, below
from llm_backend.edge.media import JSON
from llm_backend.errors import Json

EVENTS = "text/event-stream"
WHOLE = "response"
"""What a response is called here that is no event."""


class ResponseSchemas:
    """The schemas of responses and their events, and what these reach. Compiled when they are first needed."""

    def __init__(self, document: Json) -> None:
        components = document["components"]["schemas"]
        (asked,) = (each for each in operations(document) if each.id == "createResponse")
        content = asked.fields["responses"]["200"]["content"]
        self._named: dict[str, Json] = {WHOLE: content[JSON]["schema"]}
        for each in content[EVENTS]["schema"]["anyOf"]:
            (kind,) = components[each["$ref"].rpartition("/")[2]]["properties"]["type"]["enum"]
            self._named[kind] = each
        self._schemas = Schemas(self._named, components)

    def fault_in(self, told: Json) -> str | None:
        """Where a response, or an event, is not as the document has it: `output[0].content`. None where it is."""
        kind = told.get("type", WHOLE)
        if kind not in self._named:
            return "type"
        pointer = below("/named", kind)
        if self._schemas.is_valid(pointer, told):
            return None
        return dotted(find_fault(self._schemas, pointer, told).path)
