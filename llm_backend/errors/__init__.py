"""Everything that can go wrong on purpose.

LLMBackendError
├── InvalidRequest              the request is wrong; `code` says how, `param` says where
│   ├── InvalidJson             the body is no JSON that this server reads
│   ├── InvalidForm             the body is no multipart form that this server reads
│   ├── UnsupportedMediaType    the body is in a media type or encoding that this server does not read
│   ├── RequestTooLarge         more bytes than the operation takes
│   ├── HeadersTooLarge         more headers than the server takes
│   ├── RequestTimedOut         the client did not finish sending
│   ├── IdempotencyKeyReused    a key that was used for another request
│   ├── MethodNotAllowed        the path exists, the method does not
│   ├── Conflict                not as things stand now
│   │   └── ResponseCancelled   it was asked that it be not made to its end
│   └── NotFound                no such thing, or another account's
│       └── ModelNotFound
├── Unauthenticated             no key, or not one of ours: one text for every cause
│   └── EndUserUnproven         a frontend's key is good, its word for whom it asks is not
├── PermissionDenied            a good key that may not do this
│   └── TooManyEndUsers         an account that may not have another one
├── IdempotencyConflict         what was asked for is under way, or its result cannot be told again
├── RateLimited                 too many requests in a minute, or at once
│   └── TokensLimited           too many tokens in a minute
├── BudgetExhausted             the account's budget does not allow it
├── RanAway                     an upstream that did not stop
├── KeyRevoked                  its key was taken away while the answer ran
├── NotServed                   an operation of the document that this server does not answer
├── ClientLeft                  nobody is there to be told; for the records
├── Internal                    a fault of our own
├── Unavailable                 not now; try again
│   ├── DatabaseUnavailable
│   ├── LimitsAway              the shared rate limits, where nothing may pass without them
│   ├── Overloaded
│   └── Draining
└── UpstreamFailed              who answers for us did not
    ├── UpstreamUnreachable     no connection, or it broke
    ├── UpstreamTimedOut        no answer in time
    ├── UpstreamBroken          5xx
    ├── UpstreamAuthFailed      our own key was refused
    ├── UpstreamInvalid         an answer that is no answer
    └── UpstreamRejected        a 4xx about the request itself, passed on

Errors know what to say; `edge/problems.py` alone knows which status each one has.
"""

from llm_backend.errors.requests import (
    BudgetExhausted,
    Conflict,
    EndUserUnproven,
    HeadersTooLarge,
    IdempotencyConflict,
    IdempotencyKeyReused,
    InvalidForm,
    InvalidJson,
    InvalidRequest,
    KeyRevoked,
    MethodNotAllowed,
    ModelNotFound,
    NotFound,
    PermissionDenied,
    RateLimited,
    RequestTimedOut,
    RequestTooLarge,
    ResponseCancelled,
    TokensLimited,
    TooManyEndUsers,
    Unauthenticated,
    UnsupportedMediaType,
)
from llm_backend.errors.root import MESSAGE_LIMIT, Json, LLMBackendError
from llm_backend.errors.serving import (
    ClientLeft,
    DatabaseUnavailable,
    Draining,
    Internal,
    LimitsAway,
    NotServed,
    Overloaded,
    Unavailable,
)
from llm_backend.errors.upstream import (
    RanAway,
    UpstreamAuthFailed,
    UpstreamBroken,
    UpstreamFailed,
    UpstreamInvalid,
    UpstreamRejected,
    UpstreamTimedOut,
    UpstreamUnreachable,
)

__all__ = [
    "MESSAGE_LIMIT",
    "BudgetExhausted",
    "ClientLeft",
    "Conflict",
    "DatabaseUnavailable",
    "Draining",
    "EndUserUnproven",
    "HeadersTooLarge",
    "IdempotencyConflict",
    "IdempotencyKeyReused",
    "Internal",
    "InvalidForm",
    "InvalidJson",
    "InvalidRequest",
    "Json",
    "KeyRevoked",
    "LLMBackendError",
    "LimitsAway",
    "MethodNotAllowed",
    "ModelNotFound",
    "NotFound",
    "NotServed",
    "Overloaded",
    "PermissionDenied",
    "RanAway",
    "RateLimited",
    "RequestTimedOut",
    "RequestTooLarge",
    "ResponseCancelled",
    "TokensLimited",
    "TooManyEndUsers",
    "Unauthenticated",
    "Unavailable",
    "UnsupportedMediaType",
    "UpstreamAuthFailed",
    "UpstreamBroken",
    "UpstreamFailed",
    "UpstreamInvalid",
    "UpstreamRejected",
    "UpstreamTimedOut",
    "UpstreamUnreachable",
]
