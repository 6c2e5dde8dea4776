"""
A task's functions and what they reach of the student's own names, put into the starter's file.

So a mistake in one function costs no other task, and a change of what was given costs nothing. Lines keep the
numbers that they have in the student's file.
"""

import ast
import builtins


class Unfit(Exception):
    """The file cannot be graded; the message is one sentence."""


def splice(
    starter: str, student: str, targets, file: str, also=(), others=()
) -> tuple[ast.Module, list[str]]:
    """
    Put a student's functions into the starter's file.

    Parameters
    ----------
    starter, student : str
        The texts of both files.
    targets : iterable of str
        "function", or "Class.method".
    file : str
        The name that sentences use.
    also : iterable of str
        Blanked along with the targets: the student's are used where the targets reach them.
    others : iterable of str
        Functions of other tasks, of which a student's own are not used without a remark.

    Returns
    -------
    tree : ast.Module
        Ready to be compiled.
    notes : list of str
        One for each name that was given, that the functions reach, and that the student has changed.
    """
    given, own = parse(starter, file), parse(student, file)
    given_names, own_names = bindings(given.body), bindings(own.body)
    for name in targets:
        if name.split(".")[0] not in own_names:
            raise Unfit(f"{file} has no {name}.")
    wanted = {name for name in targets if "." not in name}
    start = [part for name in wanted for part in own_names[name]]
    classes = {name.split(".")[0] for name in targets if "." in name}
    for name in sorted(classes):
        replaced, free = (
            {x.split(".")[1] for x in names if x.startswith(f"{name}.")} for names in (targets, also)
        )
        start += merge_class(class_of(given, name, file), class_of(own, name, file), replaced, free, file)
    fixed = given_names.keys() - wanted - set(also)
    changed = {
        name
        for name in reach(start, own_names, fixed, wanted)
        if same(own_names[name]) != same(given_names[name])
    }
    given.body = place(given.body, [x for x in own.body if bound(x) & wanted], wanted, classes)
    notes = [
        f"Your change of {x} in {file} was not used: it is given." for x in sorted(changed - set(others))
    ]
    return ast.fix_missing_locations(given), notes


def parse(text: str, file: str) -> ast.Module:
    """Parse a file; whatever is wrong with it is one sentence."""
    try:
        return ast.parse(text)
    except SyntaxError as error:
        raise Unfit(f"{file} is not Python: {error.msg}, line {error.lineno}.") from None
    except (ValueError, RecursionError, MemoryError):
        raise Unfit(f"{file} is not Python that can be read.") from None


def bindings(body) -> dict:
    """Return the statements that bind each name, or change what it stands for."""
    found: dict = {}
    for part in body:
        for name in bound(part):
            found.setdefault(name, []).append(narrow(part, {name}))
    return found


def bound(part) -> set:
    """Return the names that a statement binds or changes: `table` in `table[i] = x` and `table.append(x)`."""
    if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {part.name}
    if isinstance(part, ast.Import | ast.ImportFrom):
        return {imported(x) for x in part.names}
    if isinstance(part, ast.Expr) and isinstance(part.value, ast.Call):
        return {root(part.value.func)} - {None} if isinstance(part.value.func, ast.Attribute) else set()
    names = set()
    for node in inner(part):
        if isinstance(node, ast.Name | ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
            names.add(root(node))
        elif node is not part and isinstance(node, ast.stmt | ast.ExceptHandler):
            names |= {node.name} if isinstance(node, ast.ExceptHandler) else bound(node)
    return names - {None}


def inner(part):
    """Yield a statement's nodes, but not those inside functions and classes: they have their own scopes."""
    yield part
    for child in ast.iter_child_nodes(part):
        if not isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            yield from inner(child)


def root(node):
    """Return the name that `name.x[i].y` begins with, if any."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Starred):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def reach(parts, own: dict, fixed, wanted: set) -> set:
    """Add to `wanted` the student's new names that statements reach; return the fixed ones they reach."""
    left, seen, met = list(parts), set(), set()
    while left:
        part = left.pop()
        names = {node.id for node in ast.walk(part) if isinstance(node, ast.Name)}
        for name in (names | bound(part)) - seen:
            seen.add(name)
            if name in own and name in fixed:
                met.add(name)
            elif name in own:
                wanted.add(name)
                left += own[name]
    if "*" in own and seen - own.keys() - fixed - set(dir(builtins)):
        wanted.add("*")
    return met


def same(parts) -> list:
    """Return what makes statements equal: their meaning, not their lines or docstrings."""
    for part in parts:
        if isinstance(part, ast.FunctionDef) and ast.get_docstring(part) is not None:
            part.body[0].value.value = ""
    return [ast.dump(part) for part in parts]


def class_of(tree, name: str, file: str) -> ast.ClassDef:
    """Return a class by its name."""
    for part in reversed(tree.body):
        if isinstance(part, ast.ClassDef) and part.name == name:
            return part
    raise Unfit(f"{file} has no class {name}.")


def merge_class(given: ast.ClassDef, own: ast.ClassDef, methods: set, also: set, file: str) -> list:
    """Put a student's methods into the class that was given, with the new ones they reach; return them."""
    names, fixed = bindings(own.body), bindings(given.body).keys() - methods - also
    for name in sorted(methods - names.keys()):
        raise Unfit(f"{file} has no {own.name}.{name}.")
    wanted, left = set(methods), [part for name in methods for part in names[name]]
    while left:
        for node in ast.walk(left.pop()):
            name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", None)
            if name in names and name not in fixed and name not in wanted:
                wanted.add(name)
                left += names[name]
    chosen = [part for part in own.body if bound(part) & wanted]
    given.body = [part for part in given.body if not bound(part) & wanted] + chosen
    return chosen


def narrow(part, wanted: set):
    """Return a statement; of an import, only the names that are wanted."""
    if not isinstance(part, ast.Import | ast.ImportFrom):
        return part
    kept = [x for x in part.names if imported(x) in wanted]
    return ast.copy_location(type(part)(**{**dict(ast.iter_fields(part)), "names": kept}), part)


def imported(alias) -> str:
    """Return the name that an import binds."""
    return (alias.asname or alias.name).split(".")[0]


def place(body, new, wanted: set, classes) -> list:
    """Put the student's statements where the first that they replace stood; `import *` comes before all."""
    first = min(i for i, x in enumerate(body) if bound(x) & wanted or getattr(x, "name", None) in classes)
    stars = [narrow(x, {"*"}) for x in new if "*" in bound(x)]
    new = [narrow(x, wanted) for x in new if "*" not in bound(x)]
    kept = [part for part in body[first:] if not (bound(part) & wanted)]
    return [*stars, *body[:first], *new, *kept]
