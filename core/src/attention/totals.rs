//! What attention has of some queries so far: sums relative to the greatest score, put together span by span.
//!
//! The softmax of a query runs anew in each span of keys, and what the spans gave is added in their order: so the spans of a row
//! may be computed by different threads, and its bits are the same.

use super::weigh::State;
use crate::simd::{SoftmaxExp, Vector, LANES, V};

/// For some queries: the states of their softmax, four and four, and the weighted sums of values `[queries, dim]`.
#[derive(Clone, Copy)]
pub(super) struct Totals {
    states: *mut State,
    values: *mut f32,
    queries: usize,
    dim: usize,
}

/// Factors of what was there and of what is added, a lane for each of four queries.
#[derive(Clone, Copy)]
pub(super) struct Factors {
    old: V,
    new: V,
}

impl Totals {
    /// F32 that so many queries take, a multiple of 4.
    pub(super) fn floats(queries: usize, dim: usize) -> usize {
        queries.next_multiple_of(LANES) * (State::FLOATS + dim)
    }

    /// The totals that lie there.
    /// # Safety
    /// There must be [`Totals::floats`], 16-byte aligned.
    pub(super) unsafe fn at(place: *mut f32, queries: usize, dim: usize) -> Totals {
        let padded = queries.next_multiple_of(LANES);
        // SAFETY: the caller's.
        unsafe {
            Totals {
                states: place.cast(),
                values: place.add(State::FLOATS * padded),
                queries,
                dim,
            }
        }
    }

    /// Makes them those of no key.
    /// # Safety
    /// Nobody else may use them.
    pub(super) unsafe fn clear(&self) {
        let padded = self.queries.next_multiple_of(LANES);
        // SAFETY: they are there.
        unsafe {
            for quad in 0..padded / LANES {
                self.states.add(quad).write(State::new());
            }
            self.values.write_bytes(0, padded * self.dim);
        }
    }

    /// Adds the state of the four queries from `first` on; the values then take the factors.
    /// # Safety
    /// As [`Totals::clear`].
    #[inline(always)]
    pub(super) unsafe fn add_state(&self, first: usize, span: &State, exp: &SoftmaxExp) -> Factors {
        // SAFETY: they are there.
        let state = unsafe { &mut *self.states.add(first / LANES) };
        let new = state.join(span, exp);
        Factors {
            old: state.decay,
            new,
        }
    }

    /// Adds the values of a query, `values(d)` the four from `d` on.
    /// # Safety
    /// As [`Totals::clear`]; the query must be one of the four that the factors are of.
    #[inline(always)]
    pub(super) unsafe fn add_values(
        &self,
        query: usize,
        factors: Factors,
        values: impl Fn(usize) -> V,
    ) {
        let [old, new] = [factors.old, factors.new].map(|f| V::splat(f.lanes()[query % LANES]));
        // SAFETY: they are there.
        unsafe {
            let sums = self.values.add(query * self.dim);
            for d in (0..self.dim).step_by(LANES) {
                let before = V::load_f32(sums.add(d)).mul(old);
                values(d).madd(new, before).store_f32(sums.add(d));
            }
        }
    }

    /// As [`Totals::add_values`] of `count` queries from `first` on, whose values stand in turns.
    /// # Safety
    /// As there; `first` must be the first of the four.
    #[inline(always)]
    pub(super) unsafe fn add_turns(
        &self,
        first: usize,
        count: usize,
        factors: Factors,
        turns: impl Fn(usize) -> [V; LANES],
    ) {
        let [old, new] = [factors.old, factors.new].map(|f| f.lanes().map(V::splat));
        for d in (0..self.dim).step_by(LANES) {
            let turns = turns(d);
            for t in 0..count {
                // SAFETY: they are there.
                unsafe {
                    let at = self.values.add((first + t) * self.dim + d);
                    let before = V::load_f32(at).mul(old[t]);
                    V::of_turns(turns, t).madd(new[t], before).store_f32(at);
                }
            }
        }
    }

    /// Adds those of the span that follows.
    /// # Safety
    /// As [`Totals::clear`], for both; both must be of the same queries.
    pub(super) unsafe fn add(&self, span: &Totals) {
        let exp = SoftmaxExp::new();
        for first in (0..self.queries).step_by(LANES) {
            // SAFETY: they are there.
            unsafe {
                let factors = self.add_state(first, &*span.states.add(first / LANES), &exp);
                for query in first..self.queries.min(first + LANES) {
                    let values = span.values.add(query * self.dim);
                    self.add_values(query, factors, |d| V::load_f32(values.add(d)));
                }
            }
        }
    }

    /// Writes the result of a query; zeros where it saw no key.
    /// # Safety
    /// `to` must have room for it.
    pub(super) unsafe fn store(&self, query: usize, to: *mut f32) {
        // SAFETY: they are there.
        unsafe {
            let weights = (*self.states.add(query / LANES)).total.lanes()[query % LANES];
            let factor = V::splat(if weights == 0.0 { 0.0 } else { 1.0 / weights });
            let sums = self.values.add(query * self.dim);
            for d in (0..self.dim).step_by(LANES) {
                V::load_f32(sums.add(d)).mul(factor).store_f32(to.add(d));
            }
        }
    }
}
