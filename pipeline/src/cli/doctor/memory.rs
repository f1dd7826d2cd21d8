//! The memory that is left: what the machine has, and what a container is allowed.
//!
//! Format: `/proc/meminfo`, and the control groups of the kernel, version 2 (`memory.max`) and 1 (`memory.limit_in_bytes`); a group is
//! limited by all groups above it.

use std::fs::read_to_string;
use std::path::{Path, PathBuf};

use super::Finding;

/// Less is tight for a run: the embedding of a few clips at a time takes 130 MB and more.
const ENOUGH_BYTES: u64 = 512 << 20;

/// Whether there is enough for a run.
pub(super) fn memory() -> Finding {
    let machine = read_to_string("/proc/meminfo").ok().and_then(|text| field(&text, "MemAvailable:"));
    let groups = read_to_string("/proc/self/cgroup").map_or_else(|_| Vec::new(), |text| folders(&text));
    let group = groups.iter().filter_map(|folder| left(folder)).min();
    let Some(bytes) = machine.into_iter().chain(group).min() else {
        return Finding::ok("memory", "how much is free cannot be found out on this system");
    };
    let limit = if group == Some(bytes) { ", which is what the limit of this container leaves" } else { "" };
    let found = format!("{} MB available{limit}", bytes >> 20);
    if bytes < ENOUGH_BYTES {
        return Finding::warn("memory", found, "end other programs, or work with fewer threads: `--jobs 1`");
    }
    Finding::ok("memory", found)
}

/// Bytes behind `name` in the format of `/proc/meminfo`.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The folders of the memory groups that the text of `/proc/self/cgroup` names, and of all groups above them.
fn folders(text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for line in text.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else { continue };
        let mount = match controllers {
            "" => "/sys/fs/cgroup",
            list if list.split(',').any(|name| name == "memory") => "/sys/fs/cgroup/memory",
            _ => continue,
        };
        let below = Path::new(path.trim_start_matches('/'));
        found.extend(below.ancestors().map(|group| Path::new(mount).join(group)));
    }
    found
}

/// Bytes that the limit of the group in `folder` leaves; none where it has no limit. What the group only caches can be taken back.
fn left(folder: &Path) -> Option<u64> {
    let number = |name: &str| read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
    let limit = number("memory.max").or_else(|| number("memory.limit_in_bytes"))?;
    let used = number("memory.current").or_else(|| number("memory.usage_in_bytes"))?;
    let stat = read_to_string(folder.join("memory.stat")).unwrap_or_default();
    let cached = ["total_inactive_file ", "inactive_file "].iter().find_map(|name| {
        let line = stat.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().parse::<u64>().ok()
    });
    Some(limit.saturating_sub(used.saturating_sub(cached.unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use std::fs::write;

    use super::*;

    #[test]
    fn what_is_available_is_read_in_bytes() {
        let text = "MemTotal:       24684096 kB\nMemAvailable:   24149368 kB\n";
        assert_eq!(field(text, "MemAvailable:"), Some(24_149_368 * 1024));
        assert_eq!(field(text, "SwapFree:"), None);
        assert_eq!(field("MemAvailable: many kB", "MemAvailable:"), None);
    }

    #[test]
    fn groups_of_both_versions_are_found_with_those_above_them() {
        let found = folders("4:cpu,memory:/a/b\n3:cpuset:/x\n0::/c\nnonsense\n");
        let memory = ["/sys/fs/cgroup/memory/a/b", "/sys/fs/cgroup/memory/a", "/sys/fs/cgroup/memory/"];
        let expected = [memory.as_slice(), &["/sys/fs/cgroup/c", "/sys/fs/cgroup/"]].concat();
        assert_eq!(found, expected.into_iter().map(PathBuf::from).collect::<Vec<_>>());
    }

    #[test]
    fn a_limit_leaves_what_is_not_used_and_what_is_only_cached() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| write(dir.path().join(name), text).unwrap();
        file("memory.max", "max\n");
        file("memory.current", "600\n");
        assert_eq!(left(dir.path()), None);
        file("memory.max", "1000\n");
        assert_eq!(left(dir.path()), Some(400));
        file("memory.stat", "anon 100\ninactive_file 200\n");
        assert_eq!(left(dir.path()), Some(600));
        file("memory.max", "100\n");
        assert_eq!(left(dir.path()), Some(0));
    }
}
