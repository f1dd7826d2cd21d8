//! A sample of rows that keeps each group's share.

use std::collections::BTreeMap;

/// At most `limit` indices into `groups`, rising: of each group its share, but at least one as long as there is room, evenly spaced.
///
/// Depends on nothing but the arguments. For the map, a group is a class, or a class and a side.
pub fn stratified<G: Ord>(groups: &[G], limit: usize) -> Vec<usize> {
    if groups.len() <= limit {
        return (0..groups.len()).collect();
    }
    let mut members: BTreeMap<&G, Vec<usize>> = BTreeMap::new();
    for (index, group) in groups.iter().enumerate() {
        members.entry(group).or_default().push(index);
    }
    // Each index gets its place in its group, in 0…1; the first of a group comes before all others. Cutting the list in that order
    // leaves every group its share to within one.
    let mut ranked = Vec::with_capacity(groups.len());
    for indices in members.values() {
        let (n, step) = (indices.len(), step(indices.len()));
        for rank in 0..n {
            // Multiples of the step spread over the group, so that what is kept does not all come from its beginning.
            let index = indices[(rank as u128 * step as u128 % n as u128) as usize];
            ranked.push((rank as f64 / n as f64, index));
        }
    }
    ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut kept: Vec<usize> = ranked.into_iter().take(limit).map(|(_, index)| index).collect();
    kept.sort_unstable();
    kept
}

/// A step whose multiples modulo `n` come by every index once and are evenly spread from the start: near the golden section of `n`,
/// and coprime to it.
fn step(n: usize) -> usize {
    let golden = (n as f64 * 0.618_033_988_749_895) as usize;
    // One of n numbers in a row is one more than a multiple of n.
    (golden.max(1)..=golden + n).find(|step| gcd(*step, n) == 1).unwrap_or(1)
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_group_keeps_its_share_and_none_is_lost() {
        let groups: Vec<u8> = (0..10_000).map(|i| if i == 77 { 9 } else { u8::from(i % 4 == 0) }).collect();
        let kept = stratified(&groups, 1000);
        assert_eq!(kept.len(), 1000);
        assert!(kept.is_sorted_by(|a, b| a < b));
        let of = |group| kept.iter().filter(|index| groups[**index] == group).count();
        assert!(of(9) == 1 && of(0).abs_diff(750) <= 1 && of(1).abs_diff(250) <= 1, "{} {} {}", of(0), of(1), of(9));
        // Evenly: each tenth of the rows gives a tenth of the sample.
        let first = kept.iter().filter(|index| **index < 1000).count();
        assert!((90..=110).contains(&first), "{first}");
    }

    #[test]
    fn what_fits_is_kept_and_nothing_gives_nothing() {
        assert_eq!(stratified(&[3, 1, 2], 3), [0, 1, 2]);
        assert!(stratified::<u8>(&[], 5).is_empty());
        assert!(stratified(&[1, 1], 0).is_empty());
    }
}
