"""Expressions of ``$(eval ...)``: comparisons and arithmetic, and nothing that can do harm."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

from hierarchy_nodes.errors import ConfigError

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}


def evaluate(expression: str) -> Any:
    """The value of `expression`.

    Allowed are constants, lists, ``and or not``, comparisons, ``in``, ``+ - * / // %`` on numbers
    (``+`` also on text) and ``a if c else b``.

    Raises:
        ConfigError: It is not an expression, or uses anything else.
    """
    try:
        return _value(ast.parse(expression.strip(), mode="eval").body)
    except (SyntaxError, TypeError, ArithmeticError, RecursionError, ValueError) as error:
        raise ConfigError(f"cannot evaluate '{expression}': {error}.") from error


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Constant():
            return node.value
        case ast.List() | ast.Tuple():
            return [_value(item) for item in node.elts]
        case ast.BoolOp(op=ast.And()):
            return all(_value(item) for item in node.values)
        case ast.BoolOp():
            return any(_value(item) for item in node.values)
        case ast.UnaryOp(op=ast.Not()):
            return not _value(node.operand)
        case ast.UnaryOp(op=ast.USub()):
            return -_value(node.operand)
        case ast.BinOp() if type(node.op) in _BINARY:
            left, right = _value(node.left), _value(node.right)
            texts = isinstance(left, str) or isinstance(right, str)
            if texts and not isinstance(node.op, ast.Add):
                raise TypeError("arithmetic on text")
            return _BINARY[type(node.op)](left, right)
        case ast.Compare():
            left = _value(node.left)
            for kind, item in zip(node.ops, node.comparators, strict=True):
                right = _value(item)
                if type(kind) not in _COMPARE:
                    raise TypeError("unsupported comparison")
                if not _COMPARE[type(kind)](left, right):
                    return False
                left = right
            return True
        case ast.IfExp():
            return _value(node.body if _value(node.test) else node.orelse)
    raise TypeError(f"{ast.unparse(node)} is not allowed")
