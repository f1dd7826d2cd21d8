use proptest::prelude::*;

use super::*;

const SHARES: [f64; 3] = [0.7, 0.15, 0.15];
const CLASSES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// Groups with so many clips of each class.
fn groups(counts: &[Vec<usize>], names: &[String]) -> Vec<(String, Vec<usize>)> {
    names.iter().cloned().zip(counts.iter().cloned()).collect()
}

fn as_wholes(groups: &[(String, Vec<usize>)]) -> Wholes<'_> {
    let whole = |counts: &[usize]| {
        let clips = CLASSES.iter().copied().zip(counts.iter().copied()).filter(|(_, n)| *n > 0).collect();
        Whole { clips, given: None }
    };
    groups.iter().map(|(name, counts)| (name.as_str(), whole(counts))).collect()
}

/// Whether the train side has all classes and each side has a group.
fn is_usable(groups: &[(String, Vec<usize>)], sides: &[usize]) -> bool {
    let has = |class: usize| groups.iter().zip(sides).any(|((_, counts), side)| *side == 0 && counts[class] > 0);
    let is_there = |class: usize| groups.iter().any(|(_, counts)| counts[class] > 0);
    (0..3).all(|side| sides.contains(&side)) && (0..CLASSES.len()).all(|class| has(class) || !is_there(class))
}

/// Groups of a field campaign: sites of different sizes that hold most classes, in different mixtures.
fn campaign(sites: usize, seed: u64) -> Vec<(String, Vec<usize>)> {
    let number = |site: usize, what: usize| {
        let key = KeyHasher::new("campaign").u64(seed).u64(site as u64).u64(what as u64).finish();
        (key.to_u64() % 1000) as usize
    };
    let counts = |site: usize| (0..5).map(|class| number(site, class) * number(site, 9) / 20_000).collect();
    (0..sites)
        .map(|site| (format!("site {site:03}"), counts(site)))
        .filter(|(_, n): &(_, Vec<usize>)| n.iter().sum::<usize>() > 0)
        .collect()
}

proptest! {
    #[test]
    fn a_usable_split_is_found_where_there_is_one(
        counts in prop::collection::vec(prop::collection::vec(0usize..3, 5), 3..7), seed in 0u64..5,
    ) {
        let counts: Vec<_> = counts.into_iter().filter(|counts| counts.iter().sum::<usize>() > 0).collect();
        let names: Vec<_> = (0..counts.len()).map(|n| n.to_string()).collect();
        let groups = groups(&counts, &names);
        let all = 3usize.pow(groups.len() as u32);
        let sides = |n: usize| (0..groups.len() as u32).map(|at| n / 3usize.pow(at) % 3).collect::<Vec<_>>();
        let exists = (0..all).any(|n| is_usable(&groups, &sides(n)));
        let found = deal(&as_wholes(&groups), &SHARES, Some(0), seed);
        prop_assert_eq!(is_usable(&groups, &found), exists, "{:?} {:?}", groups, found);
    }
}

#[test]
fn classes_are_spread_and_one_more_recording_moves_few_sites() {
    let (mut worst, mut moved, mut tries) = (0.0_f64, 0, 0);
    for seed in 0..20 {
        let before = campaign(40, seed);
        let wholes = as_wholes(&before);
        let sides = deal(&wholes, &SHARES, Some(0), seed);
        for class in 0..CLASSES.len() {
            let on = |side: usize| -> usize {
                before.iter().zip(&sides).filter(|(_, on)| **on == side).map(|((_, n), _)| n[class]).sum()
            };
            let all: usize = (0..3).map(on).sum();
            for (side, share) in SHARES.iter().enumerate() {
                worst = worst.max((on(side) as f64 / all as f64 - share).abs());
            }
        }
        for site in (0..before.len()).step_by(7) {
            let mut after = before.clone();
            after[site].1[site % 5] += 1;
            let again = deal(&as_wholes(&after), &SHARES, Some(0), seed);
            moved += sides.iter().zip(&again).filter(|(a, b)| a != b).count();
            tries += 1;
        }
    }
    let moved = moved as f64 / f64::from(tries);
    assert!(worst < 0.12 && moved < 2.5, "a share is off by {worst:.3}; {moved:.2} sites move");
}

#[test]
fn every_fold_gets_some_of_every_class_where_there_are_groups_enough() {
    let groups = campaign(30, 3);
    let dealt = deal(&as_wholes(&groups), &[0.2; 5], None, 1);
    for class in 0..CLASSES.len() {
        for fold in 0..5 {
            let n: usize = groups.iter().zip(&dealt).filter(|(_, on)| **on == fold).map(|((_, n), _)| n[class]).sum();
            assert!(n > 0, "no {} in fold {fold}", CLASSES[class]);
        }
    }
}
