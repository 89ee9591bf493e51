//! Whether a script tells a metric more than once: a light look at its text, as early stopping needs it each epoch.

use crate::aws::script_mode::prints;

/// Whether whatever the script prints that the regex may match, it prints outside of every loop, and in no function that
/// is called in one. `false` when nothing matches: that is said elsewhere.
#[must_use]
pub(super) fn once_only(python: &str, regex: &str) -> bool {
    let lines: Vec<&str> = python.lines().collect();
    let told: Vec<usize> = (0..lines.len())
        .filter(|at| prints::may_match(&prints::samples(lines[*at]), regex) && prints_something(&lines, *at))
        .collect();
    !told.is_empty() && told.iter().all(|at| !repeats(&lines, *at, 3))
}

/// The line is a statement that prints, or goes on from one.
fn prints_something(lines: &[&str], at: usize) -> bool {
    let says = |line: &str| ["print", "log", "write", "info"].iter().any(|word| line.contains(word));
    says(lines[at]) || at > 0 && says(lines[at - 1])
}

/// Inside a loop; or inside a function that is called inside a loop, so many calls up.
fn repeats(lines: &[&str], at: usize, calls: u8) -> bool {
    let mut indent = indent(lines[at]);
    for before in (0..at).rev() {
        let line = lines[before].trim_start();
        if line.is_empty() || line.starts_with('#') || self::indent(lines[before]) >= indent {
            continue;
        }
        indent = self::indent(lines[before]);
        if line.starts_with("for ") || line.starts_with("while ") || line.starts_with("async for ") {
            return true;
        }
        let Some(name) = line.strip_prefix("def ").or_else(|| line.strip_prefix("async def ")) else { continue };
        let name = name.split('(').next().unwrap_or_default().trim();
        let calls_it = |line: &&str| line.contains(&format!("{name}(")) && !line.trim_start().starts_with("def ");
        let called = lines.iter().enumerate().filter(|(_, line)| calls_it(line));
        return calls > 0 && called.into_iter().any(|(place, _)| place != before && repeats(lines, place, calls - 1));
    }
    false
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGEX: &str = "loss=([0-9.]+)";

    #[test]
    fn a_metric_of_each_epoch_is_told_from_one_at_the_end() {
        let each = "for epoch in range(3):\n    step()\n    if epoch:\n        print(f'loss={loss}')\n";
        let end = "for epoch in range(3):\n    step()\n\nprint(f'loss={loss}')\n";
        let function = "def test(model):\n    print(f'loss={loss}')\n\ndef main():\n    for epoch in range(3):\n        train()\n        test(model)\n\nmain()\n";
        let last = "def test(model):\n    print(f'loss={loss}')\n\ndef main():\n    for epoch in range(3):\n        train()\n    test(model)\n\nmain()\n";
        assert_eq!([each, end, function, last].map(|script| once_only(script, REGEX)), [false, true, false, true]);
        assert!(!once_only("print('nothing')", REGEX));
        assert!(!once_only("def f():\n    print(f'loss={x}')\n    f()\n", "accuracy=([0-9.]+)"));
    }
}
