"""The subset of the launch format: what it means, and what is refused and where."""

import pytest

from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.launcher import load
from hierarchy_nodes.launcher.expressions import evaluate
from hierarchy_nodes.launcher.substitutions import Context, expand, expand_words


@pytest.fixture
def write(tmp_path):
    def write(body, name="x.launch.xml"):
        path = tmp_path / name
        path.write_text(f"<launch>\n{body}\n</launch>\n")
        return path

    return write


@pytest.fixture
def context(tmp_path):
    return Context({"a": "one", "b": "two words", "yes": "true", "n": "3"}, tmp_path / "x.xml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("$(var a)/$(var b)", "one/two words"),
        ("$(env NOT_SET_ANYWHERE fallback)", "fallback"),
        ("$(env NOT_SET_ANYWHERE '')", ""),
        ("$(env NOT_SET_ANYWHERE $(var a))", "one"),
        (r"$(eval '\'$(var a)\' == \'one\'')", "True"),
        ("$(eval '$(var n) * 2 + 1')", "7"),
        ("$(and $(var yes) $(not $(equals $(var a) two)))", "true"),
        ("$(or false $(not-equals $(var a) one))", "false"),
        (r"a \$(var a)", "a $(var a)"),
    ],
)
def test_substitutions(text, expected, context):
    assert expand(text, context) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("$(var c)", "Unknown launch argument 'c'"),
        ("$(vra a)", "Unknown substitution 'vra'.*'var'"),
        ("$(var a", "not closed"),
        ("$(env NOT_SET_ANYWHERE)", "not set"),
        ("$(var a b)", "takes 1 to 1"),
        ("$(not $(var a))", "expected true or false, got 'one'"),
    ],
)
def test_bad_substitutions(text, message, context):
    with pytest.raises(ConfigError, match=message):
        expand(text, context)


def test_command_words_are_split_before_substitution(context):
    assert expand_words("run --x $(var b) 'c d'=1 -$(var n)", context) == [
        "run",
        "--x",
        "two words",
        "c d=1",
        "-3",
    ]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("'a' == 'a' and not False", True),
        ("1 < 2 < 3", True),
        ("'x' in ['x', 'y']", True),
        ("'a' + 'b'", "ab"),
        ("-2 * 3 if 1 > 2 else 7 // 2", 3),
    ],
)
def test_expressions(expression, value):
    assert evaluate(expression) == value


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').system('true')",
        "().__class__",
        "[x for x in 'ab']",
        "open('/etc/passwd')",
        "'a' * 1000000000",
        "9 ** 9",
        "1 / 0",
        "1 +",
        "name",
        "lambda: 1",
    ],
)
def test_harmful_or_wrong_expressions_are_refused(expression):
    with pytest.raises(ConfigError, match="cannot evaluate"):
        evaluate(expression)


def test_groups_scope_variables_environment_and_namespace(write):
    path = write("""
      <let name="v" value="out"/>
      <group>
        <let name="v" value="in"/>
        <set_env name="E" value="inside"/>
        <push-ros-namespace namespace="n"/>
        <executable name="first" cmd="echo $(var v)"/>
        <node pkg="hierarchy_nodes" exec="arm" namespace="m"/>
        <node pkg="hierarchy_nodes" exec="arm" namespace="/k"/>
      </group>
      <executable name="second" cmd="echo $(var v)"><env name="F" value="own"/></executable>
      <group scoped="false"><let name="v" value="kept"/></group>
      <executable name="third" cmd="echo $(var v)" unless="false"/>
      <executable name="fourth" cmd="echo $(var v)" if="0"/>
    """)
    specs = {process.name: process for process in load(path).processes}
    assert list(specs) == ["first", "n/m/arm", "k/arm", "second", "third"]
    assert specs["first"].command == ("echo", "in")
    assert specs["first"].environment == {"E": "inside"}
    assert specs["second"].command == ("echo", "out")
    assert specs["second"].environment == {"F": "own"}
    assert specs["third"].command == ("echo", "kept")


def test_an_included_file_sees_arguments_and_its_own_folder(write, tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "inner.launch.xml").write_text(
        """<launch>
             <arg name="who"/><arg name="kept" default="inner default"/>
             <executable name="e" cmd="echo $(var who) $(var kept) $(dirname)"/>
           </launch>"""
    )
    path = write("""
      <arg name="kept" default="outer"/>
      <include file="$(dirname)/below/inner.launch.xml"><arg name="who" value="you"/></include>
    """)
    (process,) = load(path).processes
    assert process.command == ("echo", "you", "outer", str(tmp_path / "below"))
    (process,) = load(path, {"kept": "given"}).processes
    assert process.command[2] == "given"


def test_parameters_keep_their_types(write):
    path = write("""
      <node pkg="hierarchy_nodes" exec="arm">
        <param name="a" value="1"/><param name="b" value="1" type="str"/>
        <param name="c" value="1" type="float"/><param name="d" value="true"/>
        <param name="e" value="[1.0, 2.0]"/>
        <remap from="stop" to="halt"/>
      </node>
    """)
    (process,) = load(path).processes
    values = [value for item in process.parameters for value in item.values()]
    assert [(type(value), value) for value in values] == [
        (int, 1),
        (str, "1"),
        (float, 1.0),
        (bool, True),
        (list, [1.0, 2.0]),
    ]
    assert process.remaps == (("stop", "halt"),)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("<nod/>", r"x.launch.xml:2: <nod>: Unknown element in <launch> 'nod'.*'node'"),
        ("<node pkg='hierarchy_nodes'/>", r":2: <node>: attribute 'exec' is missing"),
        ("\n<node pkg='p' exec='e' nmae='n'/>", r":3: <node>: Unknown attribute 'nmae'.*'name'"),
        ("<node pkg='no_such_pkg' exec='e'/>", r":2: <node>: no lib/no_such_pkg/e of package"),
        ("<node pkg='hierarchy_nodes' exec='arn'/>", r"Unknown executable .*'arn'.*'arm'"),
        ("<executable cmd='e' respawn='maybe'/>", r"<executable>: expected true or false"),
        ("<executable cmd='e' respawn_delay='x'/>", r"respawn_delay"),
        ("<executable cmd='$(var q)'/>", r":2: <executable>: Unknown launch argument 'q'"),
        ("<arg name='must' description='what for'/>", r"'must' \(what for\) must be given"),
        ("<include file='/no/such.xml'/>", r"/no/such.xml: cannot be read"),
        ("<include file='$(dirname)/x.launch.xml'/>", r"includes itself"),
        ("<timer period='1'/>", r"Unknown element"),
        ("words", r"unexpected text 'words'"),
        ("<group>", r":3: not valid XML"),
        (
            "<node pkg='hierarchy_nodes' exec='arm'><param from='/no/params.yaml'/></node>",
            r"<param>: parameter file /no/params.yaml does not exist",
        ),
        (
            "<node pkg='hierarchy_nodes' exec='arm'><param name='a' value='x' type='int'/></node>",
            r"parameter 'a': 'x' is not a int",
        ),
    ],
)
def test_errors_name_file_line_and_element(body, message, write):
    with pytest.raises(ConfigError, match=message):
        load(write(body))
