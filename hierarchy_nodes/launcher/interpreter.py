"""From launch file and arguments to the list of processes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from hierarchy_nodes import environment
from hierarchy_nodes.errors import ConfigError, UnknownNameError
from hierarchy_nodes.launcher import substitutions, xml_file
from hierarchy_nodes.launcher.processes import ProcessSpec
from hierarchy_nodes.launcher.substitutions import Context
from hierarchy_nodes.launcher.xml_file import Element, LaunchFileError

CONDITIONS = ("if", "unless")
RUN = ("name", "output", "respawn", "respawn_delay", "on_exit", *CONDITIONS)
# Element -> its attributes (required ones with a star) and the elements allowed in it.
ELEMENTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "launch": (
        ("version",),
        ("arg", "let", "group", "push-ros-namespace", "node", "executable", "include", "set_env"),
    ),
    "arg": (("name*", "default", "description", *CONDITIONS), ("choice",)),
    "choice": (("value*",), ()),
    "let": (("name*", "value*", *CONDITIONS), ()),
    "push-ros-namespace": (("namespace*", *CONDITIONS), ()),
    "node": (("pkg*", "exec*", "namespace", "args", *RUN), ("param", "remap", "env")),
    "param": (("name", "value", "type", "from"), ()),
    "remap": (("from*", "to*"), ()),
    "env": (("name*", "value*"), ()),
    "executable": (("cmd*", *RUN), ("env",)),
    "include": (("file*", *CONDITIONS), ("arg",)),
    "set_env": (("name*", "value*", *CONDITIONS), ()),
}
ELEMENTS["group"] = (("scoped", *CONDITIONS), ELEMENTS["launch"][1])
TYPES = ("str", "int", "float", "bool")


@dataclass(frozen=True)
class Argument:
    """A declared launch argument; `default` None means that it must be given."""

    name: str
    description: str = ""
    default: str | None = None
    choices: tuple[str, ...] = ()


@dataclass
class Launch:
    """What a launch file asks for with the given arguments."""

    processes: list[ProcessSpec] = field(default_factory=list)
    arguments: dict[str, Argument] = field(default_factory=dict)


def find_file(name: str) -> Path:
    """A launch file by path, or by name in the package's ``launch`` folder.

    Raises:
        UnknownNameError: There is none.
    """
    if Path(name).is_file():
        return Path(name).resolve()
    folder = environment.share_folder() / "launch"
    known = {path.name: path for path in folder.glob("*.launch.xml")}
    short = {full.removesuffix(".launch.xml"): path for full, path in known.items()}
    for names in (known, short):
        if name in names:
            return names[name]
    raise UnknownNameError("launch file", name, known)


def load(path: Path | str, arguments: Mapping[str, str] | None = None) -> Launch:
    """Read a launch file and everything it includes.

    Raises:
        LaunchFileError: With file, line and element, for whatever is wrong in a file.
        ConfigError: An argument is unknown, missing or not one of its choices.
    """
    path = Path(path).resolve()
    given = dict(arguments or {})
    interpreter = _Interpreter()
    interpreter.run(xml_file.read(path), Context(dict(given), path))
    known = {**declared(path), **interpreter.launch.arguments}
    for name in given:
        if name not in known:
            raise UnknownNameError(f"argument of {path.name}", name, known)
    return interpreter.launch


def declared(path: Path | str, seen: tuple[Path, ...] = ()) -> dict[str, Argument]:
    """The arguments of a launch file and of the files it includes, unless it sets them itself.

    Raises:
        LaunchFileError: For whatever is wrong in the files.
    """
    path = Path(path).resolve()
    found: dict[str, Argument] = {}

    def walk(element: Element) -> None:
        _check(element)
        for child in element.children:
            if child.tag == "arg":
                argument = _argument(child)
                found.setdefault(argument.name, argument)
            elif child.tag == "group":
                walk(child)
            elif child.tag == "include" and "$(var" not in _check(child)["file"]:
                with _located(child):
                    below = Path(substitutions.expand(child.attributes["file"], Context({}, path)))
                    if below.resolve() not in seen:
                        given = {item.attributes.get("name") for item in child.children}
                        inner = declared(below, (*seen, path)).items()
                        found.update({k: v for k, v in inner if k not in {*given, *found}})

    walk(xml_file.read(path))
    return found


def _argument(element: Element) -> Argument:
    _check(element)
    choices = [_check(child)["value"] for child in element.children]
    attributes = element.attributes
    return Argument(
        attributes["name"],
        attributes.get("description", ""),
        attributes.get("default"),
        tuple(choices),
    )


def _check(element: Element) -> dict[str, str]:
    """The element's attributes, all of which are known; required ones are there."""
    attributes, children = ELEMENTS[element.tag]
    names = [name.rstrip("*") for name in attributes]
    for name in element.attributes:
        if name not in names:
            raise element.error(str(UnknownNameError("attribute", name, names)))
    for name in attributes:
        if name.endswith("*") and name[:-1] not in element.attributes:
            raise element.error(f"attribute '{name[:-1]}' is missing.")
    for child in element.children:
        if child.tag not in children:
            raise child.error(
                str(UnknownNameError(f"element in <{element.tag}>", child.tag, children))
            )
    return element.attributes


class _Interpreter:
    """Walks the elements in order, as the actions of a launch description run."""

    def __init__(self) -> None:
        self.launch = Launch()
        self._including: list[Path] = []

    def run(self, element: Element, context: Context) -> None:
        _check(element)
        for child in element.children:
            self._one(child, context)

    def _one(self, element: Element, context: Context) -> None:
        _check(element)
        with _located(element):
            if not _wanted(element, context):
                return
            getattr(self, "_do_" + element.tag.replace("-", "_"))(element, context)

    def _do_arg(self, element: Element, context: Context) -> None:
        argument = _argument(element)
        self.launch.arguments.setdefault(argument.name, argument)
        value = context.variables.get(argument.name)
        if value is None:
            if argument.default is None:
                about = f" ({argument.description})" if argument.description else ""
                raise ConfigError(f"argument '{argument.name}'{about} must be given.")
            value = substitutions.expand(argument.default, context)
            context.variables[argument.name] = value
        if argument.choices and value not in argument.choices:
            raise UnknownNameError(f"value of '{argument.name}'", value, argument.choices)

    def _do_let(self, element: Element, context: Context) -> None:
        name = substitutions.expand(element.attributes["name"], context)
        context.variables[name] = substitutions.expand(element.attributes["value"], context)

    def _do_set_env(self, element: Element, context: Context) -> None:
        name = substitutions.expand(element.attributes["name"], context)
        context.environment[name] = substitutions.expand(element.attributes["value"], context)

    def _do_group(self, element: Element, context: Context) -> None:
        scoped = substitutions.expand(element.attributes.get("scoped", "true"), context)
        self.run(element, context.copy() if substitutions.as_bool(scoped) else context)

    def _do_push_ros_namespace(self, element: Element, context: Context) -> None:
        pushed = substitutions.expand(element.attributes["namespace"], context)
        context.namespace = _join(context.namespace, pushed)

    def _do_include(self, element: Element, context: Context) -> None:
        path = Path(substitutions.expand(element.attributes["file"], context)).resolve()
        if path in self._including:
            raise ConfigError(f"{path} includes itself.")
        for child in element.children:
            attributes = child.attributes
            if set(attributes) != {"name", "value"}:
                raise child.error("in <include>, an <arg> has exactly 'name' and 'value'.")
            name = substitutions.expand(attributes["name"], context)
            context.variables[name] = substitutions.expand(attributes["value"], context)
        outer, context.file = context.file, path
        self._including.append(path)
        self.run(xml_file.read(path), context)
        self._including.pop()
        context.file = outer

    def _do_node(self, element: Element, context: Context) -> None:
        values = _expanded(element, context)
        command = substitutions.find_command(values["pkg"], values["exec"])
        command += substitutions.expand_words(element.attributes.get("args", ""), context)
        namespace = _join(context.namespace, values.get("namespace", ""))
        name = values.get("name", "")
        parameters: list[Path | dict[str, Any]] = []
        remaps = []
        for child in element.children:
            with _located(child):
                _check(child)
                if child.tag == "param":
                    parameters.append(_parameter(child, context))
                elif child.tag == "remap":
                    pair = _expanded(child, context)
                    remaps.append((pair["from"], pair["to"]))
        self._add(
            element,
            values,
            context,
            name=_join(namespace, name or values["exec"]).lstrip("/"),
            command=tuple(command),
            node=name,
            namespace=namespace or "/",
            parameters=tuple(parameters),
            remaps=tuple(remaps),
            ros=True,
        )

    def _do_executable(self, element: Element, context: Context) -> None:
        values = _expanded(element, context)
        command = substitutions.expand_words(element.attributes["cmd"], context)
        if not command:
            raise ConfigError("the command is empty.")
        name = values.get("name", Path(command[0]).name)
        self._add(element, values, context, name=name, command=tuple(command))

    def _add(
        self, element: Element, values: dict[str, str], context: Context, name: str, **rest: Any
    ) -> None:
        taken = [spec.name for spec in self.launch.processes]
        unique, number = name, 2
        while unique in taken:
            unique, number = f"{name}-{number}", number + 1
        variables = dict(context.environment)
        for child in element.children:
            if child.tag == "env":
                _check(child)
                pair = _expanded(child, context)
                variables[pair["name"]] = pair["value"]
        try:
            delay = float(values.get("respawn_delay", "0"))
        except ValueError as error:
            raise ConfigError(f"respawn_delay: {error}.") from error
        output = values.get("output", "screen")
        if output not in ("screen", "log", "both"):
            raise UnknownNameError("output", output, ("screen", "log", "both"))
        if values.get("on_exit", "shutdown") != "shutdown":
            raise UnknownNameError("on_exit", values["on_exit"], ("shutdown",))
        self.launch.processes.append(
            ProcessSpec(
                name=unique,
                environment=variables,
                respawn=substitutions.as_bool(values.get("respawn", "false")),
                respawn_delay=delay,
                screen=output != "log",
                essential="on_exit" in values,
                **rest,
            )
        )


@contextmanager
def _located(element: Element) -> Iterator[None]:
    """Errors from below get the place of the element."""
    try:
        yield
    except LaunchFileError:
        raise
    except ConfigError as error:
        raise element.error(str(error)) from error


def _wanted(element: Element, context: Context) -> bool:
    """Whether the element's condition holds."""
    if "if" in element.attributes and "unless" in element.attributes:
        raise ConfigError("'if' and 'unless' exclude each other.")
    for name, wanted in (("if", True), ("unless", False)):
        if name in element.attributes:
            text = substitutions.expand(element.attributes[name], context)
            return substitutions.as_bool(text) == wanted
    return True


def _expanded(element: Element, context: Context) -> dict[str, str]:
    lines = ("cmd", "args")
    return {
        name: substitutions.expand(value, context)
        for name, value in element.attributes.items()
        if name not in lines
    }


def _join(base: str, name: str) -> str:
    """`name` in the namespace `base`; an absolute name stays. Empty or with a leading slash."""
    if name.startswith("/"):
        base = ""
    parts = [part.strip("/") for part in (base, name)]
    joined = "/".join(part for part in parts if part)
    return f"/{joined}" if joined else ""


def _parameter(element: Element, context: Context) -> Path | dict[str, Any]:
    values = _expanded(element, context)
    if "from" in values:
        if len(values) > 1:
            raise ConfigError("'from' goes with no other attribute.")
        path = Path(values["from"])
        if not path.is_file():
            raise ConfigError(f"parameter file {path} does not exist.")
        return path.resolve()
    if "name" not in values or "value" not in values:
        raise ConfigError("needs 'name' and 'value', or 'from'.")
    kind, text = values.get("type", ""), values["value"]
    if kind and kind not in TYPES:
        raise UnknownNameError("type", kind, TYPES)
    value = text if kind == "str" else yaml.safe_load(text)
    if kind == "float" and isinstance(value, int):
        value = float(value)
    if value is None or (kind and type(value).__name__ != kind):
        raise ConfigError(f"parameter '{values['name']}': '{text}' is not a {kind or 'value'}.")
    return {values["name"]: value}
