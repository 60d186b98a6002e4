//! Says which of several choices or plans no other one beats, by what each costs.

/// Returns whether costs `a` are nowhere above costs `b`, and somewhere below.
pub fn beats(a: &[u64], b: &[u64]) -> bool {
    a != b && a.iter().zip(b).all(|(a, b)| a <= b)
}

/// Returns for each of `costs` whether no other one beats it; of equals the first is left.
pub fn undominated(costs: &[Vec<u64>]) -> Vec<bool> {
    let is_left = |i: usize| {
        let worse = |j: usize| beats(&costs[j], &costs[i]) || (j < i && costs[j] == costs[i]);
        !(0..costs.len()).any(worse)
    };
    (0..costs.len()).map(is_left).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_beats_is_left_out_and_of_equals_one_stays() {
        let costs = [[1, 9], [2, 5], [2, 5], [3, 5], [9, 1], [9, 2]].map(|costs| costs.to_vec());
        assert_eq!(undominated(&costs), [true, true, false, false, true, false]);
        assert!(!beats(&[1, 2], &[1, 2]) && beats(&[1, 2], &[1, 3]) && !beats(&[0, 4], &[1, 3]));
    }
}
