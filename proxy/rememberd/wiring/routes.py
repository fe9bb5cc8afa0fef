"""Every HTTP path with its handler. The first matching route is used."""

from typing import NamedTuple

from starlette.routing import Route

from rememberd.api import openapi
from rememberd.api.admin import Admin
from rememberd.api.apps import AppsApi
from rememberd.api.dead_letters import DeadLetterApi
from rememberd.api.forward import Forward, near_miss
from rememberd.api.groups import GroupsAdmin
from rememberd.api.health import Health
from rememberd.api.mcp.endpoint import Mcp
from rememberd.api.memories import Memories
from rememberd.api.memory_batches import MemoryBatches
from rememberd.api.memory_files import MemoryFiles
from rememberd.api.memory_review import MemoryReview
from rememberd.api.memory_stats import MemoryStats
from rememberd.api.memory_tool import MemoryTool
from rememberd.api.models import Models
from rememberd.api.ollama import OllamaApi
from rememberd.api.page import Page
from rememberd.api.receipts import ReceiptApi
from rememberd.api.sign_in import SignInApi
from rememberd.api.usage import UsageApi
from rememberd.dialects.registry import CHAT_PATHS
from rememberd.http.exception_handlers import wrong_method
from rememberd.pipeline.chat import Chat

GET, POST, PUT, PATCH, DELETE = (["GET"], ["POST"], ["PUT"], ["PATCH"], ["DELETE"])


class Handlers(NamedTuple):
    chat: Chat
    forward: Forward
    models: Models
    ollama: OllamaApi
    memories: Memories
    batches: MemoryBatches
    files: MemoryFiles
    stats: MemoryStats
    tool: MemoryTool
    review: MemoryReview
    receipts: ReceiptApi
    admin: Admin
    dead: DeadLetterApi
    groups: GroupsAdmin
    usage: UsageApi
    apps: AppsApi
    mcp: Mcp
    health: Health
    sign_in: SignInApi
    page: Page


def routes(to: Handlers) -> list[Route]:
    return [
        *(Route(path, to.chat, methods=POST) for path in CHAT_PATHS),
        Route("/api/tags", to.ollama.tags, methods=GET),
        Route("/api/ps", to.ollama.running, methods=GET),
        Route("/api/version", to.ollama.version, methods=GET),
        Route("/api/show", to.ollama.show, methods=POST),
        Route("/api/{path:path}", to.ollama.forward, methods=GET + POST + DELETE),
        Route("/v1/messages/count_tokens", to.forward, methods=POST),
        Route("/v1/models", to.models.page, methods=GET),
        Route("/v1/models/{id:path}", to.models.read, methods=GET),
        Route("/v1/memories", to.memories.page, methods=GET),
        Route("/v1/memories", to.memories.add, methods=POST),
        Route("/v1/memories", to.memories.erase, methods=DELETE),
        Route("/v1/memories/search", to.memories.search, methods=POST),
        Route("/v1/memories/delete", to.batches.delete, methods=POST),
        Route("/v1/memories/edit", to.batches.edit, methods=POST),
        Route("/v1/memories/restore", to.batches.restore, methods=POST),
        Route("/v1/memories/move", to.batches.move, methods=POST),
        Route("/v1/memories/export", to.files.export, methods=GET),
        Route("/v1/memories/import", to.files.import_, methods=POST),
        Route("/v1/memories/import/read", to.files.read, methods=POST),
        Route("/v1/memories/imports/{id}", to.files.undo, methods=DELETE),
        Route("/v1/memories/files", to.tool.list, methods=GET),
        Route("/v1/memories/files", to.tool.run, methods=POST),
        Route("/v1/memories/preview", to.stats.preview, methods=POST),
        Route("/v1/memories/stats", to.stats.stats, methods=GET),
        Route("/v1/memories/settings", to.stats.settings, methods=GET),
        Route("/v1/memories/settings", to.stats.set, methods=PUT),
        Route("/v1/memories/apps", to.apps.page, methods=GET),
        Route("/v1/memories/apps", to.apps.change, methods=PATCH),
        Route("/v1/memories/groups", to.review.groups, methods=GET),
        Route("/v1/memories/review", to.review.review, methods=GET),
        Route("/v1/memories/{id}/why", to.review.why, methods=GET),
        Route("/v1/memories/{id}/history", to.stats.history, methods=GET),
        Route("/v1/memories/{id}", to.memories.read, methods=GET),
        Route("/v1/memories/{id}", to.memories.edit, methods=PATCH),
        Route("/v1/memories/{id}", to.memories.delete, methods=DELETE),
        Route("/v1/receipts", to.receipts.page, methods=GET),
        Route("/v1/receipts/{id}", to.receipts.read, methods=GET),
        Route("/mcp", to.mcp, methods=POST),
        Route("/admin/keys", to.admin.list_keys, methods=GET),
        Route("/admin/keys", to.admin.create_key, methods=POST),
        Route("/admin/keys/{id}", to.admin.revoke_key, methods=DELETE),
        Route("/admin/keys/{id}/rotate", to.admin.rotate_key, methods=POST),
        Route("/admin/groups", to.groups.list_groups, methods=GET),
        Route("/admin/groups", to.groups.create, methods=POST),
        Route("/admin/groups/{name}", to.groups.remove, methods=DELETE),
        Route("/admin/groups/{name}/members/{user:path}", to.groups.add_member, methods=PUT),
        Route("/admin/groups/{name}/members/{user:path}", to.groups.remove_member, methods=DELETE),
        Route("/admin/apps", to.apps.admin_page, methods=GET),
        Route("/admin/apps", to.apps.admin_change, methods=PATCH),
        Route("/admin/usage", to.usage.read, methods=GET),
        Route("/admin/users", to.admin.list_users, methods=GET),
        Route("/admin/users/{user:path}", to.admin.erase_user, methods=DELETE),
        Route("/admin/dead", to.dead.list, methods=GET),
        Route("/admin/dead/replay", to.dead.replay, methods=POST),
        Route("/openapi.json", openapi.document, methods=GET),
        *health_routes(to.health),
        *(
            Route(f"/.well-known/oauth-protected-resource{path}", to.sign_in.protected_resource, methods=GET)
            for path in ("", "/mcp", "/v1")
        ),
        Route("/signin", to.sign_in.start, methods=GET),
        Route("/signin/callback", to.sign_in.finish, methods=GET),
        Route("/signin/session", to.sign_in.session, methods=GET),
        Route("/signin/session", to.sign_in.end, methods=DELETE),
        # Our own paths with a wrong method: they must not be forwarded to a provider.
        *(Route(path, wrong_method, methods=GET + POST + DELETE) for path in _OURS),
        Route("/v1/{path:path}", to.forward, methods=GET + POST + DELETE),
        Route("/", to.page.home, methods=GET),
        Route("/page/{name}", to.page.file, methods=GET),
        *(Route(f"/{{prefix:path}}{path}", near_miss, methods=POST) for path in CHAT_PATHS),
    ]


def health_routes(health: Health) -> list[Route]:
    """Also served by a writer that runs without `serve`."""
    return [
        Route("/health/live", health.live, methods=GET),
        Route("/health/ready", health.ready, methods=GET),
        Route("/metrics", health.metrics, methods=GET),
    ]


_OURS = ("/v1/memories", "/v1/memories/{rest:path}", "/v1/receipts", "/v1/receipts/{rest:path}")
