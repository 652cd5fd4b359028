//! Which core does what. Pinning by system call would be unsafe code, so `taskset` does it.

use std::process::Command;
use std::sync::LazyLock;

/// Whether processes can be pinned here: two cores and the command.
pub(crate) static PINNED: LazyLock<bool> = LazyLock::new(|| {
    let works = |core| {
        let output = Command::new("taskset").args(["-c", core, "true"]).output();
        output.is_ok_and(|output| output.status.success())
    };
    works("0") && works("1")
});

/// A command for `program` on these cores.
pub(crate) fn on_core(cores: &str, program: &str) -> Command {
    if !*PINNED {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", cores, program]);
    command
}

/// Puts this process on these cores; with `-a` that holds for its running threads, too.
pub(crate) fn move_to(cores: &str) {
    if *PINNED {
        let id = std::process::id().to_string();
        let _ = Command::new("taskset")
            .args(["-a", "-c", "-p", cores, &id])
            .output();
    }
}
