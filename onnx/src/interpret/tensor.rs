//! Defines the interpreter's tensors: each distinct number is kept once.

use crate::number::{Q, Real, common_unit};
use num_traits::ToPrimitive;
use std::collections::HashMap;
use std::hash::Hash;

/// A tensor: element `i` is `table[ids[i]]`.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// Shape.
    pub dims: Vec<usize>,
    /// Which number each element is, row-major.
    pub ids: Vec<u32>,
    /// The numbers.
    pub table: Vec<Real>,
}

/// Collects distinct numbers.
#[derive(Default)]
struct Table {
    values: Vec<Real>,
    index: HashMap<Real, u32>,
}

impl Table {
    fn id(&mut self, value: Real) -> u32 {
        if let Some(&id) = self.index.get(&value) {
            return id;
        }
        let id = self.values.len() as u32;
        self.values.push(value.clone());
        self.index.insert(value, id);
        id
    }
}

impl Tensor {
    /// Makes a tensor whose elements are functions of keys; each distinct key is computed once.
    pub fn of_keys<K: Eq + Hash + Clone>(
        dims: Vec<usize>,
        keys: impl Iterator<Item = K>,
        mut value: impl FnMut(&K) -> Result<Real, String>,
    ) -> Result<Self, String> {
        let mut table = Table::default();
        let mut known: HashMap<K, u32> = HashMap::new();
        let mut ids = vec![];
        for key in keys {
            let id = match known.get(&key) {
                Some(&id) => id,
                None => {
                    let id = table.id(value(&key)?);
                    known.insert(key, id);
                    id
                }
            };
            ids.push(id);
        }
        debug_assert_eq!(ids.len(), dims.iter().product::<usize>());
        Ok(Tensor { dims, ids, table: table.values })
    }

    /// Returns element `i`.
    pub fn value(&self, i: usize) -> &Real {
        &self.table[self.ids[i] as usize]
    }

    /// Returns a function of each element and a position of its own.
    pub fn map(
        &self,
        positions: &[usize],
        f: impl Fn(&Real, usize) -> Result<Real, String>,
    ) -> Result<Self, String> {
        let keys = self.ids.iter().copied().zip(positions.iter().copied());
        Tensor::of_keys(self.dims.clone(), keys, |&(id, p)| f(&self.table[id as usize], p))
    }

    /// Returns the elements as whole multiples of one unit.
    pub fn integers(&self) -> Result<(Vec<i128>, Q), String> {
        let rational = self.table.iter().map(Real::rational).collect::<Option<Vec<&Q>>>();
        let rational = rational.ok_or("sums of irrational numbers")?;
        let unit = common_unit(rational.iter().copied()).unwrap_or_else(|| crate::number::whole(1));
        let whole = |q: &&Q| (*q / &unit).to_i128().filter(|v| v.unsigned_abs() < 1 << 90);
        let whole = rational.iter().map(whole).collect::<Option<Vec<i128>>>();
        let whole = whole.ok_or("sums of numbers without a common unit")?;
        Ok((self.ids.iter().map(|&id| whole[id as usize]).collect(), unit))
    }

    /// Returns the same elements in another order or shape.
    pub fn picked(&self, dims: Vec<usize>, positions: &[usize]) -> Self {
        let ids = positions.iter().map(|&p| self.ids[p]).collect();
        Tensor { dims, ids, table: self.table.clone() }
    }
}
