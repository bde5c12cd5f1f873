"""The comment behind each field of a module's dataclasses, written once, where it is read."""

import ast
import inspect
import io
import tokenize
from functools import cache
from types import ModuleType


@cache
def behind_fields(module: ModuleType) -> dict[str, dict[str, str]]:
    """For each class of a module, in its order, the comment behind each field."""
    source = inspect.getsource(module)
    comments = {
        token.start[0]: token.string.removeprefix("#").strip()
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    return {
        cls.name: {
            node.target.id: comments.get(node.end_lineno or 0, "")
            for node in cls.body
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        }
        for cls in ast.parse(source).body
        if isinstance(cls, ast.ClassDef)
    }
