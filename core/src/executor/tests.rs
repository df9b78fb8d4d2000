//! Small Programs, encoded by hand, and what becomes of damaged ones.

use super::*;

const F32: u32 = 0;
const I32: u32 = 5;
const ROWS: i32 = -1;
const CONSTANT: u32 = 1;
const INPUT: u32 = 3;
const OUTPUT: u32 = 4;
const STEP: u32 = 5;
const TEMP: u32 = 6;

/// Encodes a Program of capacity 2 as `src/program/encode.ts` does.
struct Encoder {
    values: Vec<u32>,
    value_count: u32,
    ops: Vec<u32>,
    op_count: u32,
    constants: Vec<f32>,
}

impl Encoder {
    fn value(&mut self, kind: u32, dtype: u32, location: u32, dims: &[i32]) -> i32 {
        self.values
            .extend([kind, dtype, location, dims.len() as u32]);
        self.values.extend(dims.iter().map(|dim| *dim as u32));
        self.value_count += 1;
        self.value_count as i32 - 1
    }

    fn op(&mut self, code: u32, inputs: &[i32], outputs: &[i32], attrs: &[u32]) {
        self.ops.push(code);
        for ids in [inputs, outputs] {
            self.ops.push(ids.len() as u32);
            self.ops.extend(ids.iter().map(|id| *id as u32));
        }
        self.ops.push(attrs.len() as u32);
        self.ops.extend(attrs);
        self.op_count += 1;
    }

    fn blob(&self, arena_bytes: u32, step_words: u32) -> Vec<u8> {
        let constant_bytes = self.constants.len() as u32 * 4;
        let header = [
            0x4750_464c,
            1,
            2,
            2,
            self.value_count,
            self.op_count,
            arena_bytes,
            step_words,
            constant_bytes,
        ];
        let constants = self.constants.iter().map(|x| x.to_bits());
        let words = header
            .into_iter()
            .chain(self.values.iter().copied())
            .chain(self.ops.iter().copied());
        words.chain(constants).flat_map(u32::to_le_bytes).collect()
    }
}

/// y = linear(embed(ids) + x, table), z = argmax(softmax(y)) over a table of 3 x 4.
pub(crate) fn example() -> Vec<u8> {
    let constants = (0..12).map(|i| i as f32).collect();
    let mut e = Encoder {
        values: vec![],
        value_count: 0,
        ops: vec![],
        op_count: 0,
        constants,
    };
    let ids = e.value(STEP, I32, 4, &[ROWS]);
    let table = e.value(CONSTANT, F32, 0, &[3, 4]);
    let x = e.value(INPUT, F32, 0, &[4]);
    let embedded = e.value(TEMP, F32, 0, &[ROWS, 4]);
    let sum = e.value(TEMP, F32, 64, &[ROWS, 4]);
    let y = e.value(OUTPUT, F32, 0, &[ROWS, 3]);
    let p = e.value(TEMP, F32, 0, &[ROWS, 3]);
    let z = e.value(OUTPUT, I32, 0, &[ROWS]);
    e.op(50, &[ids, table], &[embedded], &[1f32.to_bits()]);
    e.op(1, &[embedded, x], &[sum], &[]);
    e.op(41, &[sum, table, -1], &[y], &[]);
    e.op(22, &[y], &[p], &[u32::MAX, 0]);
    e.op(21, &[p], &[z], &[]);
    e.blob(128, 6)
}

/// Memory for what the example is bound to: x, y and z.
pub(crate) type Memory = ([f32; 4], [f32; 6], [i32; 2]);

pub(crate) fn bindings(memory: &mut Memory) -> [u64; 8] {
    let [x, y, z] = [
        memory.0.as_mut_ptr() as u64,
        memory.1.as_mut_ptr() as u64,
        memory.2.as_mut_ptr() as u64,
    ];
    [0, 0, x, 0, 0, y, 0, z]
}

pub(crate) fn write_record(executor: &Executor, words: &[i32]) {
    // SAFETY: the record has as many words at least.
    unsafe {
        executor
            .record()
            .cast::<i32>()
            .copy_from(words.as_ptr(), words.len())
    }
}

#[test]
fn runs_as_many_rows_as_the_step_has() {
    let mut memory: Memory = ([1.0, 0.0, 0.0, -1.0], [9.0; 6], [9; 2]);
    let bound = bindings(&mut memory);
    // SAFETY: the bindings are what the example says.
    let mut executor = unsafe { Executor::new(&example(), &bound, 1) }.unwrap();
    write_record(&executor, &[2, 0, 0, 0, 2, 0]);
    // SAFETY: as above.
    unsafe { executor.run() }.unwrap();
    // Row 0: [9, 9, 10, 10] by the rows of the table.
    let rows = [[9.0, 9.0, 10.0, 10.0], [1.0, 1.0, 2.0, 2.0]];
    let expected: Vec<f32> = rows
        .iter()
        .flat_map(|x| (0..3).map(move |n| (0..4).map(|k| x[k] * (4 * n + k) as f32).sum()))
        .collect();
    assert_eq!(memory.1.to_vec(), expected);
    assert_eq!(memory.2, [2, 2]);

    memory.1 = [7.0; 6];
    write_record(&executor, &[1, 0, 0, 0, 1, -5]);
    // SAFETY: as above.
    unsafe { executor.run() }.unwrap();
    assert_eq!(
        memory.1[3..],
        [7.0; 3],
        "a row that the step does not have stays as it is"
    );
}

#[test]
fn indexes_and_counts_are_checked_in_every_step() {
    let mut memory = Memory::default();
    let bound = bindings(&mut memory);
    // SAFETY: the bindings are what the example says.
    let mut executor = unsafe { Executor::new(&example(), &bound, 1) }.unwrap();
    for record in [
        [1, 0, 0, 0, 3, 0],
        [1, 0, 0, 0, -1, 0],
        [3, 0, 0, 0, 0, 0],
        [-1, 0, 0, 0, 0, 0],
    ] {
        write_record(&executor, &record);
        // SAFETY: as above.
        let error = unsafe { executor.run() }.unwrap_err();
        assert!(matches!(error, Error::Index { .. }), "{record:?}: {error}");
    }
    write_record(&executor, &[1, 0, 0, 0, 2, 0]);
    // SAFETY: as above.
    assert_eq!(
        unsafe { executor.run() },
        Ok(()),
        "an error leaves the executor as it was"
    );
}

#[test]
fn damaged_programs_are_errors() {
    let blob = example();
    let mut memory = Memory::default();
    let bound = bindings(&mut memory);
    // SAFETY: nothing is run; the only weight is a constant, whatever one word becomes.
    let compile = |blob: &[u8]| unsafe { Executor::new(blob, &bound, 1) };
    for length in 0..blob.len() {
        assert!(compile(&blob[..length]).is_err(), "cut off at {length}");
    }
    let words = [
        0,
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        50,
        100,
        65_537,
        i32::MAX as u32,
        i32::MIN as u32,
        -1i32 as u32,
        -2i32 as u32,
    ];
    let mut refused = 0;
    for at in (0..blob.len()).step_by(4) {
        for word in words {
            let mut damaged = blob.clone();
            damaged[at..at + 4].copy_from_slice(&word.to_le_bytes());
            refused += usize::from(compile(&damaged).is_err());
        }
    }
    assert!(
        refused > 500,
        "only {refused} damaged Programs were refused"
    );
}

#[test]
fn what_is_not_bound_is_an_error() {
    // SAFETY: nothing is run.
    let error = unsafe { Executor::new(&example(), &[0; 8], 1) }.err();
    assert_eq!(
        error,
        Some(Error::Program("op 1: value 2 is not bound".into()))
    );
}
