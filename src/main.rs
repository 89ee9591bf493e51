use std::process::ExitCode;

use footplate::local::engine::keeper;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).take(2).collect();
    match arguments.iter().map(|argument| argument.to_str()).collect::<Vec<_>>()[..] {
        [Some("local"), Some("keep")] => keeper::keep(),
        [Some("local"), Some("exec")] => keeper::exec(),
        _ => ExitCode::from(2),
    }
}
