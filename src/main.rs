//! The footplate program.

fn main() -> std::process::ExitCode {
    footplate::cli::main()
}
