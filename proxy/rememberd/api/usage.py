"""`GET /admin/usage`: tokens and costs of requests by day, key, user and model."""

import asyncio
from datetime import date

from starlette.requests import Request
from starlette.responses import Response

from rememberd.access.auth import Auth
from rememberd.api.dependencies import require_admin
from rememberd.errors import RequestError
from rememberd.http.responses import json_response
from rememberd.telemetry.usage.counts import UsageStore, days_before, today
from rememberd.telemetry.usage.prices import look_up
from rememberd.telemetry.usage.report import BY, DAYS, report


class UsageApi:
    def __init__(self, auth: Auth, usage: UsageStore) -> None:
        self.auth, self.usage = auth, usage

    async def read(self, request: Request) -> Response:
        """The usage from the day `since` to `until`, both included. `by` lists the columns to group by; "" gives one
        sum."""
        require_admin(self.auth, request)
        since = _day(request, "since") or days_before(today(), DAYS - 1)
        until = _day(request, "until") or today()
        by = [name for name in request.query_params.get("by", "day,key,model").split(",") if name]
        if not set(by) <= set(BY):
            raise RequestError(400, "invalid_by", f"`by` must name some of {', '.join(BY)}", param="by")
        rows = await self.usage.rows(since, until)
        prices = await asyncio.to_thread(look_up, {at.priced for at in rows})
        return json_response({"object": "list", "since": since, "until": until, "data": report(rows, by, prices)})


def _day(request: Request, name: str) -> str | None:
    given = request.query_params.get(name)
    try:
        return None if given is None else date.fromisoformat(given).isoformat()
    except ValueError as error:
        raise RequestError(400, "invalid_date", f"`{name}` must be a date such as 2027-01-31", param=name) from error
