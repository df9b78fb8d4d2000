//! Scores to weights: the running softmax of some queries over the keys of a tile.
//!
//! Both functions give a query the same bits: the greatest score does not depend on an order, and weights are summed key modulo 4.

use crate::simd::{tanh, SoftmaxExp, Vector, LANES, V};

/// Of four queries, a lane each: the greatest score, the sum of weights relative to it, the factor of what was summed before the last tile.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct State {
    /// Minus infinity before a key was seen
    greatest: V,
    pub(super) total: V,
    pub(super) decay: V,
}

impl State {
    /// F32 of a query's part of it.
    pub(super) const FLOATS: usize = 3;

    pub(super) fn new() -> State {
        State {
            greatest: V::splat(f32::NEG_INFINITY),
            total: V::zero(),
            decay: V::splat(1.0),
        }
    }

    /// Goes over to another greatest score; gives what the scores are relative to, which is finite where no key was seen yet.
    #[inline(always)]
    fn raise(&mut self, greatest: V, exp: &SoftmaxExp) -> V {
        let none = greatest.eq(V::splat(f32::NEG_INFINITY));
        let relative = V::select(none, V::zero(), greatest);
        self.decay = exp.of(self.greatest.sub(relative));
        self.greatest = greatest;
        self.total = self.total.mul(self.decay);
        relative
    }

    /// Adds the weights of other keys; gives the factor of what was summed with them.
    #[inline(always)]
    pub(super) fn join(&mut self, other: &State, exp: &SoftmaxExp) -> V {
        let relative = self.raise(self.greatest.max(other.greatest), exp);
        let factor = exp.of(other.greatest.sub(relative));
        self.total = other.total.madd(factor, self.total);
        factor
    }
}

/// Which keys four queries see, a lane each: from `first` on, up to `end`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct View {
    first: V,
    end: V,
    /// Where all four see every key: from there on, up to there.
    all: (i32, i32),
    /// No query sees a key from there on.
    pub(super) most: i32,
}

const _: () = assert!(size_of::<View>() == LANES * View::FLOATS * 4);
const _: () = assert!(size_of::<State>() == LANES * State::FLOATS * 4);

impl View {
    /// F32 of a query's part of it.
    pub(super) const FLOATS: usize = 3;

    /// Of up to four queries; what fills up the four sees all keys.
    pub(super) fn new(queries: &[(i32, i32)]) -> View {
        let lanes = |get: fn(&(i32, i32)) -> i32, other: i32| {
            [0, 1, 2, 3].map(|t: usize| queries.get(t).map_or(other, get))
        };
        let (first, end) = (lanes(|it| it.0, 0), lanes(|it| it.1, i32::MAX));
        let of = |lanes: [i32; LANES]| V::from_lanes(lanes.map(|it| f32::from_bits(it as u32)));
        View {
            first: of(first),
            end: of(end),
            all: (
                first.into_iter().fold(0, i32::max),
                end.into_iter().fold(i32::MAX, i32::min),
            ),
            most: queries.iter().map(|it| it.1).fold(0, i32::max),
        }
    }
}

/// What is done to the scores of a query.
#[derive(Clone, Copy)]
pub(super) struct Query {
    /// Keys of the tile that it sees.
    pub(super) seen: (i32, i32),
    /// ALiBi's slope, and how far the tile's first key lies behind the query's own (so 0 or less).
    pub(super) slope: f32,
    pub(super) distance: f32,
    /// The relative bias of each key of the tile; null for none.
    pub(super) bias: *const f32,
}

/// What is added to the scores of four queries. What becomes of those that fill up the four is not read.
#[derive(Clone, Copy)]
pub(super) struct ByQuery {
    pub(super) slopes: [f32; LANES],
    pub(super) distances: [f32; LANES],
    pub(super) biases: [*const f32; LANES],
}

/// Turns the scores of a few queries, `stride` apart and four keys to a vector, to weights.
/// # Safety
/// There must be `count` scores of each, rounded up to a multiple of 4.
#[inline(never)]
pub(super) unsafe fn weigh_few(
    scores: *mut f32,
    stride: usize,
    count: usize,
    state: &mut State,
    queries: impl ExactSizeIterator<Item = Query>,
    softcap: f32,
) {
    let few = queries.len();
    let exp = SoftmaxExp::new();
    let mut greatest = state.greatest.lanes();
    for (t, (query, greatest)) in queries.zip(&mut greatest).enumerate() {
        // SAFETY: the caller's.
        unsafe {
            let at = scores.add(t * stride);
            if softcap != 0.0 {
                cap(at, count.div_ceil(LANES), softcap);
            }
            *greatest = greatest.max(mask(at, count, &query));
        }
    }
    let relative = state.raise(V::from_lanes(greatest), &exp).lanes();
    let mut totals = [0.0; LANES];
    for (t, (total, relative)) in totals.iter_mut().zip(relative).take(few).enumerate() {
        // SAFETY: the caller's.
        *total = unsafe { weigh(scores.add(t * stride), count, relative) };
    }
    state.total = state.total.add(V::from_lanes(totals));
}

/// Adds bias and slope to the scores of a query and masks what it does not see; gives the greatest.
/// # Safety
/// As [`weigh_few`].
#[inline(never)] // V8 compiles small functions in less memory
unsafe fn mask(scores: *mut f32, count: usize, query: &Query) -> f32 {
    let lanes = V::from_lanes([0.0, 1.0, 2.0, 3.0]);
    let lanes_i32 = V::from_lanes([0, 1, 2, 3].map(f32::from_bits));
    let (first, end) = query.seen;
    let mut most = V::splat(f32::NEG_INFINITY);
    for key in (0..count).step_by(LANES) {
        // SAFETY: the caller's.
        unsafe {
            let at = scores.add(key);
            let mut score = V::load_f32(at);
            if !query.bias.is_null() {
                score = score.add(V::load_f32(query.bias.add(key)));
            }
            if query.slope != 0.0 {
                let distance = V::splat(key as f32 + query.distance).add(lanes);
                score = V::splat(query.slope).madd(distance, score);
            }
            if (key as i32) < first || (key + LANES) as i32 > end {
                let keys = V::splat_i32(key as i32).add_i32(lanes_i32);
                score = masked(score, keys, V::splat_i32(first), V::splat_i32(end));
            }
            most = most.max(score);
            score.store_f32(at);
        }
    }
    most.max_lane()
}

/// Turns the scores of a query to weights and gives their sum.
/// # Safety
/// As [`weigh_few`].
#[inline(never)] // as above
unsafe fn weigh(scores: *mut f32, count: usize, relative: f32) -> f32 {
    let (exp, relative) = (SoftmaxExp::new(), V::splat(relative));
    let mut total = V::zero();
    for key in (0..count).step_by(LANES) {
        // SAFETY: the caller's.
        unsafe {
            let at = scores.add(key);
            let weight = exp.of(V::load_f32(at).sub(relative));
            total = total.add(weight);
            weight.store_f32(at);
        }
    }
    total.sum()
}

/// Turns the scores of four queries, a key's to a vector, to weights; the first key is `start`.
/// # Safety
/// There must be `count` vectors of scores, rounded up to a multiple of 4.
#[inline(never)]
pub(super) unsafe fn weigh_four(
    scores: *mut f32,
    start: i32,
    count: usize,
    state: &mut State,
    view: &View,
    by_query: Option<ByQuery>,
    softcap: f32,
) {
    let exp = SoftmaxExp::new();
    let count = count.next_multiple_of(LANES);
    let mut greatest = state.greatest;
    let all_seen = view.all.0 <= start && view.all.1 - start >= count as i32;
    // Most tiles have nothing to be done but to look for the greatest.
    if all_seen && softcap == 0.0 && by_query.is_none() {
        for key in 0..count {
            // SAFETY: the caller's.
            greatest = greatest.max(unsafe { V::load_f32(scores.add(key * LANES)) });
        }
    } else {
        if softcap != 0.0 {
            // SAFETY: the caller's.
            unsafe { cap(scores, count, softcap) };
        }
        if let Some(by_query) = by_query {
            // SAFETY: the caller's.
            unsafe { add_by_query(scores, count, &by_query) };
        }
        for key in 0..count {
            // SAFETY: the caller's.
            unsafe {
                let at = scores.add(key * LANES);
                let key = V::splat_i32(start + key as i32);
                let score = masked(V::load_f32(at), key, view.first, view.end);
                score.store_f32(at);
                greatest = greatest.max(score);
            }
        }
    }
    let relative = state.raise(greatest, &exp);
    let mut totals = [V::zero(); LANES];
    for key in (0..count).step_by(LANES) {
        for (i, total) in totals.iter_mut().enumerate() {
            // SAFETY: the caller's.
            unsafe {
                let at = scores.add((key + i) * LANES);
                let weight = exp.of(V::load_f32(at).sub(relative));
                *total = total.add(weight);
                weight.store_f32(at);
            }
        }
    }
    let [a, b, c, d] = totals;
    state.total = state.total.add(a.add(c).add(b.add(d)));
}

/// Adds biases and slopes to the scores of `count` keys, a multiple of 4.
/// # Safety
/// As [`weigh_four`].
#[inline(never)] // Few models have them
unsafe fn add_by_query(scores: *mut f32, count: usize, by_query: &ByQuery) {
    if !by_query.biases[0].is_null() {
        // SAFETY: the caller's.
        unsafe { add_biases(scores, count, by_query.biases) };
    }
    if by_query.slopes.iter().all(|slope| *slope == 0.0) {
        return;
    }
    let [slopes, distances] = [by_query.slopes, by_query.distances].map(V::from_lanes);
    for key in 0..count {
        // SAFETY: the caller's.
        unsafe {
            let at = scores.add(key * LANES);
            let distance = V::splat(key as f32).add(distances);
            slopes.madd(distance, V::load_f32(at)).store_f32(at);
        }
    }
}

/// Adds the biases of four queries to the scores of `count` keys, a multiple of 4.
/// # Safety
/// As [`weigh_four`].
unsafe fn add_biases(scores: *mut f32, count: usize, biases: [*const f32; LANES]) {
    for key in (0..count).step_by(LANES) {
        // SAFETY: the caller's; the biases of a tile are there.
        unsafe {
            let by_query = biases.map(|bias| V::load_f32(bias.add(key)));
            for (i, bias) in V::transpose(by_query).into_iter().enumerate() {
                let at = scores.add((key + i) * LANES);
                V::load_f32(at).add(bias).store_f32(at);
            }
        }
    }
}

/// Caps `vectors` of scores.
/// # Safety
/// They must be there.
#[inline(never)] // Few models have it
unsafe fn cap(scores: *mut f32, vectors: usize, softcap: f32) {
    for i in 0..vectors {
        // SAFETY: the caller's.
        unsafe {
            let at = scores.add(i * LANES);
            let score = tanh(V::load_f32(at).mul(V::splat(1.0 / softcap)));
            score.mul(V::splat(softcap)).store_f32(at);
        }
    }
}

/// The score where `first <= key < end`, else minus infinity.
#[inline(always)]
fn masked(score: V, key: V, first: V, end: V) -> V {
    let low = V::splat(f32::NEG_INFINITY);
    let score = V::select(first.gt_i32(key), low, score);
    V::select(end.gt_i32(key), score, low)
}
