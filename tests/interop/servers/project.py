"""Projects as resource templates, in FastMCP of the SDK 1.x: project://{name}/status and its neighbours."""

from mcp.server.fastmcp import FastMCP
from mcp.types import Completion, CompletionArgument, CompletionContext, PromptReference, ResourceTemplateReference
from speak import speak

mcp = FastMCP("projects", instructions="Every project has a status, an owner and tasks.")

PROJECTS = {
    "apollo": {"status": "active", "owner": "Ana", "tasks": ["design", "build"]},
    "zephyr": {"status": "paused", "owner": "Bo", "tasks": []},
}


def project(name: str) -> dict:
    if name not in PROJECTS:
        raise ValueError(f"unknown project {name}")
    return PROJECTS[name]


@mcp.resource("project://list", mime_type="application/json")
def names() -> list[str]:
    """All projects."""
    return sorted(PROJECTS)


@mcp.resource("project://{name}/status")
def status(name: str) -> str:
    """Where a project stands."""
    return project(name)["status"]


@mcp.resource("project://{name}/tasks/{index}", mime_type="application/json")
def task(name: str, index: int) -> dict:
    """One task of a project."""
    return {"project": name, "index": index, "task": project(name)["tasks"][int(index)]}


@mcp.tool()
def set_status(name: str, status: str) -> str:
    """Changes where a project stands."""
    project(name)["status"] = status
    return f"{name} is {status}"


@mcp.prompt(title="Status report")
def report(name: str) -> str:
    """A report on one project."""
    return f"Write a report on {name}, which is {project(name)['status']}."


@mcp.completion()
async def complete(
    ref: PromptReference | ResourceTemplateReference, argument: CompletionArgument, context: CompletionContext | None
) -> Completion | None:
    if argument.name == "name":
        values = [name for name in sorted(PROJECTS) if name.startswith(argument.value)]
        return Completion(values=values, total=len(values), hasMore=False)
    if isinstance(ref, ResourceTemplateReference) and argument.name == "index" and context and context.arguments:
        count = len(project(context.arguments["name"])["tasks"])
        return Completion(values=[str(index) for index in range(count)])
    return None


if __name__ == "__main__":
    speak(mcp)
