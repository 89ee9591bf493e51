//! What a script imports: files of its own, and modules that the interpreter must have.

use std::collections::BTreeSet;

use super::code::Code;
use super::{LONGEST, Source};

/// The files that take part when the script `entry_point` runs: itself first, then what it imports of the others, and what
/// those import. A file that is named in a string takes part, too (it may be started); one of an unknown importer does not.
#[must_use]
pub fn reachable<'a>(sources: &'a [Source], entry_point: &str) -> Vec<Code<'a>> {
    let entry = entry_point.trim_start_matches("./");
    let sources: Vec<&Source> = sources.iter().filter(|source| source.text.len() <= LONGEST).collect();
    let mut waiting: Vec<&Source> = sources.iter().copied().filter(|source| source.name == entry).collect();
    let mut taken: BTreeSet<&str> = waiting.iter().map(|source| source.name.as_str()).collect();
    let mut found: Vec<Code<'a>> = Vec::new();
    while let Some(source) = waiting.pop() {
        let code = Code::of(&source.name, &source.text);
        let wanted = files_of(&code);
        let started: BTreeSet<&str> =
            code.texts().filter(|text| text.text.strip_suffix(".py").is_some()).map(|text| base(text.text)).collect();
        for &other in &sources {
            if (wanted.contains(&other.name) || started.contains(base(&other.name))) && taken.insert(&other.name) {
                waiting.push(other);
            }
        }
        found.push(code);
    }
    found
}

/// The modules, by the first part of their names, that these files import when they are started, and that are neither among
/// them nor in Python's standard library. Imports that may fail (in `try`) or that come later (in functions) are left out.
#[must_use]
pub fn outside(codes: &[Code<'_>]) -> Vec<String> {
    let own = own(codes);
    let all = codes.iter().flat_map(|code| modules_of(code, Depth::Top));
    let firsts: BTreeSet<String> = all.map(|module| first(&module).to_owned()).collect();
    // Text that is no Python may name nothing.
    let named = firsts.into_iter().filter(|module| !module.is_empty());
    named.filter(|module| !own.contains(module.as_str()) && !is_standard(module)).collect()
}

/// What these files and their folders may be imported as, by the first part of the name.
#[must_use]
pub fn own<'a>(codes: &[Code<'a>]) -> BTreeSet<&'a str> {
    codes.iter().flat_map(|code| code.file.split('/')).map(|part| part.trim_end_matches(".py")).collect()
}

/// The first part of a module's name.
#[must_use]
pub fn first(module: &str) -> &str {
    module.split('.').next().unwrap_or_default()
}

/// Every module that the file names in an import, wherever it stands.
#[must_use]
pub fn all(code: &Code<'_>) -> BTreeSet<String> {
    modules_of(code, Depth::All)
}

/// Whether nothing of Python's standard library but itself is behind that name.
#[must_use]
pub fn is_standard(module: &str) -> bool {
    STANDARD.contains(&first(module))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// Statements in no block.
    Top,
    All,
}

/// `a.b` of `import a.b`; `a`, `a.b` of `from a import b`. Relative ones are taken for ones from the top.
fn modules_of(code: &Code<'_>, depth: Depth) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (number, statement) in code.statements.iter().enumerate() {
        let tokens = code.of_statement(number);
        if depth == Depth::Top && statement.parent.is_some() {
            continue;
        }
        let dotted = |tokens: &[super::tokens::Token<'_>]| {
            let name = tokens.iter().take_while(|token| (token.is_name() && !token.is("as")) || token.is("."));
            name.map(|token| token.text).collect::<String>()
        };
        if tokens[0].is("import") {
            found.extend(tokens[1..].split(|token| token.is(",")).map(dotted));
        } else if tokens[0].is("from")
            && let Some(at) = tokens.iter().position(|token| token.is("import"))
        {
            let relative = tokens[1..at].iter().any(|token| token.is(".") || token.is("...")) && !tokens[1].is_name();
            if relative && depth == Depth::Top {
                continue;
            }
            let module = dotted(&tokens[1..at]).trim_start_matches('.').to_owned();
            let names =
                tokens[at + 1..].split(|token| token.is(",")).filter_map(|part| part.iter().find(|token| token.is_name()));
            let dot = if module.is_empty() { "" } else { "." };
            found.extend(names.map(|name| format!("{module}{dot}{}", name.text)));
            found.insert(module);
        }
    }
    // `import a.b` runs `a/__init__.py`, too.
    let parents: Vec<String> = found.iter().filter_map(|name| Some(name.rsplit_once('.')?.0.to_owned())).collect();
    found.extend(parents);
    found.remove("");
    found
}

/// The files that the file's imports may mean: below the source folder, or beside the file.
fn files_of(code: &Code<'_>) -> BTreeSet<String> {
    let folder = code.file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let paths = modules_of(code, Depth::All).into_iter().map(|module| module.replace('.', "/"));
    paths
        .flat_map(|path| [format!("{folder}/{path}"), path])
        .flat_map(|path| [format!("{path}.py"), format!("{path}/__init__.py")])
        .collect()
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// Modules of the standard library that scripts use (Python 3.8 to 3.13, `sys.stdlib_module_names`, the rare ones left out).
const STANDARD: &[&str] = &[
    "__future__",
    "abc",
    "argparse",
    "array",
    "ast",
    "asyncio",
    "atexit",
    "base64",
    "binascii",
    "bisect",
    "builtins",
    "bz2",
    "calendar",
    "cmath",
    "codecs",
    "collections",
    "colorsys",
    "concurrent",
    "configparser",
    "contextlib",
    "contextvars",
    "copy",
    "copyreg",
    "cProfile",
    "csv",
    "ctypes",
    "dataclasses",
    "datetime",
    "decimal",
    "difflib",
    "dis",
    "email",
    "enum",
    "errno",
    "faulthandler",
    "fcntl",
    "filecmp",
    "fnmatch",
    "fractions",
    "ftplib",
    "functools",
    "gc",
    "getopt",
    "getpass",
    "gettext",
    "glob",
    "graphlib",
    "gzip",
    "hashlib",
    "heapq",
    "hmac",
    "html",
    "http",
    "imghdr",
    "imp",
    "importlib",
    "inspect",
    "io",
    "ipaddress",
    "itertools",
    "json",
    "keyword",
    "linecache",
    "locale",
    "logging",
    "lzma",
    "marshal",
    "math",
    "mimetypes",
    "mmap",
    "multiprocessing",
    "netrc",
    "numbers",
    "operator",
    "optparse",
    "os",
    "pathlib",
    "pickle",
    "pkgutil",
    "platform",
    "plistlib",
    "posixpath",
    "pprint",
    "profile",
    "pstats",
    "pwd",
    "queue",
    "random",
    "re",
    "resource",
    "runpy",
    "sched",
    "secrets",
    "select",
    "selectors",
    "shelve",
    "shlex",
    "shutil",
    "signal",
    "site",
    "smtplib",
    "socket",
    "socketserver",
    "sqlite3",
    "ssl",
    "stat",
    "statistics",
    "string",
    "struct",
    "subprocess",
    "symtable",
    "sys",
    "sysconfig",
    "syslog",
    "tarfile",
    "tempfile",
    "textwrap",
    "threading",
    "time",
    "timeit",
    "token",
    "tokenize",
    "tomllib",
    "trace",
    "traceback",
    "tracemalloc",
    "types",
    "typing",
    "unicodedata",
    "unittest",
    "urllib",
    "uuid",
    "venv",
    "warnings",
    "wave",
    "weakref",
    "webbrowser",
    "xml",
    "xmlrpc",
    "zipfile",
    "zipimport",
    "zlib",
    "zoneinfo",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(files: &[(&str, &str)]) -> Vec<Source> {
        files.iter().map(|(name, text)| Source { name: (*name).to_owned(), text: (*text).to_owned() }).collect()
    }

    #[test]
    fn files_that_take_part_are_found() {
        let all = sources(&[
            ("train.py", "import os, model.net as n\nfrom helpers import *\nsubprocess.run(['python', 'more.py'])\n"),
            ("model/__init__.py", ""),
            ("model/net.py", "from . import layers\nimport torch\n"),
            ("model/layers.py", "def f():\n  import timm\n"),
            ("helpers.py", "try:\n  import apex\nexcept ImportError:\n  pass\nimport numpy.random\n"),
            ("more.py", ""),
            ("serve.py", "import flask"),
        ]);
        let codes = reachable(&all, "./train.py");
        let mut names: Vec<_> = codes.iter().map(|code| code.file).collect();
        assert_eq!(names[0], "train.py");
        names.sort_unstable();
        assert_eq!(names, ["helpers.py", "model/__init__.py", "model/layers.py", "model/net.py", "more.py", "train.py"]);
        assert_eq!(outside(&codes), ["numpy", "torch"]);
        assert!(reachable(&all, "gone.py").is_empty());
    }
}
