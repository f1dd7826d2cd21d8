//! Which recordings belong together. A recording that lies in several groups makes one of them, and so do recordings that are copies of each other: no
//! group, and no recording, is ever parted.

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What the recordings of a group have in common.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Group<'a> {
    /// Sites, devices or days; none where nobody has said any.
    pub(super) values: BTreeSet<&'a str>,
    /// The first of its recordings by name.
    pub(super) recording: &'a str,
}

impl Group<'_> {
    /// What it is called.
    pub(super) fn name(&self) -> String {
        if self.values.is_empty() {
            // No site is called like this.
            return format!("recording {}", self.recording);
        }
        self.values.iter().copied().collect::<Vec<_>>().join(" + ")
    }
}

/// All groups.
pub(super) struct Groups<'a> {
    groups: Vec<Group<'a>>,
    of_recording: HashMap<&'a str, usize>,
}

impl<'a> Groups<'a> {
    /// The groups of clips, each of a recording and with a value or none. Recordings that are `copies` of each other, two at a time, are in one group.
    pub(super) fn join(
        clips: impl Iterator<Item = (&'a str, Option<&'a str>)>,
        copies: impl Iterator<Item = [&'a str; 2]>,
    ) -> Self {
        let mut members: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (recording, value) in clips {
            members.entry(recording).or_default().extend(value);
        }
        // Recordings with a value in common, and copies, are joined.
        let mut union = Union::default();
        let mut first_with: HashMap<&str, &str> = HashMap::new();
        for (recording, values) in &members {
            for value in values {
                union.join(first_with.entry(value).or_insert(recording), recording);
            }
        }
        for [one, other] in copies {
            union.join(one, other);
        }
        let (mut groups, mut of_recording): (Vec<Group<'a>>, _) = (Vec::new(), HashMap::new());
        let mut of_root: HashMap<&str, usize> = HashMap::new();
        for (recording, values) in members {
            let group = *of_root.entry(union.find(recording)).or_insert_with(|| {
                groups.push(Group { values: BTreeSet::new(), recording });
                groups.len() - 1
            });
            groups[group].values.extend(values);
            of_recording.insert(recording, group);
        }
        Self { groups, of_recording }
    }

    /// The group of a recording.
    pub(super) fn of(&self, recording: &str) -> &Group<'a> {
        &self.groups[self.of_recording[recording]]
    }
}

/// Recordings that belong together, each with the one that it was joined to.
#[derive(Default)]
struct Union<'a> {
    above: HashMap<&'a str, &'a str>,
}

impl<'a> Union<'a> {
    /// The one that stands for all that belong to `recording`.
    fn find(&mut self, recording: &'a str) -> &'a str {
        let mut root = recording;
        while let Some(above) = self.above.get(root).copied().filter(|above| *above != root) {
            root = above;
        }
        // The next time it is one step away.
        self.above.insert(recording, root);
        root
    }

    fn join(&mut self, a: &'a str, b: &'a str) {
        let (a, b) = (self.find(a), self.find(b));
        self.above.insert(b, a);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recordings_in_several_groups_join_them_and_those_without_stand_for_themselves() {
        let clips = [("r1", Some("a")), ("r2", Some("b")), ("r3", Some("b")), ("r3", Some("c")), ("r4", None)];
        let more =
            [("r5", Some("d")), ("r5", None), ("r6", Some("e")), ("r7", Some("c")), ("r7", Some("e")), ("b", None)];
        let groups = Groups::join(clips.into_iter().chain(more), std::iter::empty());
        let names = ["r1", "r2", "r3", "r4", "r5", "r6", "r7", "b"].map(|recording| groups.of(recording).name());
        let expected = ["a", "b + c + e", "b + c + e", "recording r4", "d", "b + c + e", "b + c + e", "recording b"];
        assert_eq!(names, expected);
    }

    #[test]
    fn copies_join_their_groups_whatever_these_have_in_common() {
        let clips = [("r1", Some("a")), ("r2", Some("b")), ("r3", None), ("r4", None), ("r5", None), ("r6", None)];
        let copies = [["r3", "r2"], ["r5", "r4"], ["r4", "r5"]];
        let groups = Groups::join(clips.into_iter(), copies.into_iter());
        let names = ["r1", "r2", "r3", "r4", "r5", "r6"].map(|recording| groups.of(recording).name());
        assert_eq!(names, ["a", "b", "b", "recording r4", "recording r4", "recording r6"]);
        assert_eq!(groups.of("r5").recording, "r4");
    }
}
