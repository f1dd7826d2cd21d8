//! The `ecosight` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    ecosight::cli::main().into()
}
