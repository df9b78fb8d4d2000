//! The operands of an op, resolved to addresses and shapes, with the checks that all ops share.

use crate::dtype::DType;
use crate::error::{invalid, Error};
use crate::linear::PackedWeight;
use crate::program::Shape;

/// A value as kernels see it: where it lies and what it is.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// Its first byte, or its [`PackedWeight`] where that is what it is.
    pub address: usize,
    pub dtype: DType,
    pub shape: Shape,
    /// Whether the address is that of a [`PackedWeight`].
    pub packed: bool,
}

impl Tensor {
    /// Start of its elements.
    pub fn f32(&self) -> *mut f32 {
        self.address as *mut f32
    }

    /// Start of its elements.
    pub fn i32(&self) -> *mut i32 {
        self.address as *mut i32
    }

    /// Start of its bytes.
    pub fn bytes(&self) -> *mut u8 {
        self.address as *mut u8
    }
}

/// A matrix `[out, in]` to multiply with.
#[derive(Clone, Copy)]
pub enum Weight {
    /// As the kernels like it.
    Packed(*const PackedWeight),
    /// Dense F32, row by row.
    Dense(*const f32),
}

/// The operands of an op.
pub struct Operands<'a> {
    /// Name of the op, for errors.
    pub name: &'static str,
    pub inputs: Vec<Option<Tensor>>,
    pub outputs: Vec<Tensor>,
    pub attrs: Attrs<'a>,
}

impl Operands<'_> {
    /// An error about this op.
    pub fn wrong<T>(&self, what: &str) -> Result<T, Error> {
        invalid(format!("{}: {what}", self.name))
    }

    /// Fails with `what` unless the condition holds.
    pub fn check(&self, holds: bool, what: &str) -> Result<(), Error> {
        if holds {
            Ok(())
        } else {
            self.wrong(what)
        }
    }

    /// A dense input of this dtype, `None` where it is absent.
    pub fn optional(&self, position: usize, dtype: DType) -> Result<Option<&Tensor>, Error> {
        match &self.inputs[position] {
            Some(tensor) if tensor.packed => {
                self.wrong("an input is a packed weight and must be plain")
            }
            Some(tensor) if tensor.dtype != dtype => {
                self.wrong("an input has another dtype than it must")
            }
            other => Ok(other.as_ref()),
        }
    }

    fn input(&self, position: usize, dtype: DType) -> Result<&Tensor, Error> {
        match self.optional(position, dtype)? {
            Some(tensor) => Ok(tensor),
            None => self.wrong("an input is absent"),
        }
    }

    /// An F32 input.
    pub fn f32(&self, position: usize) -> Result<&Tensor, Error> {
        self.input(position, DType::F32)
    }

    /// An I32 input.
    pub fn i32(&self, position: usize) -> Result<&Tensor, Error> {
        self.input(position, DType::I32)
    }

    /// A dense input of any dtype.
    pub fn any(&self, position: usize) -> Result<&Tensor, Error> {
        match &self.inputs[position] {
            Some(tensor) if !tensor.packed => Ok(tensor),
            _ => self.wrong("an input is absent or a packed weight"),
        }
    }

    /// An F32 vector of this length, null where it is absent.
    pub fn vector(&self, position: usize, length: usize) -> Result<Option<*const f32>, Error> {
        match self.optional(position, DType::F32)? {
            Some(tensor) => {
                self.check(
                    tensor.shape.dims == [length],
                    "a vector has another length than it must",
                )?;
                Ok(Some(tensor.f32()))
            }
            None => Ok(None),
        }
    }

    /// A matrix `[out, in]` and its two dimensions.
    pub fn weight(&self, position: usize) -> Result<(Weight, usize, usize), Error> {
        let Some(tensor) = &self.inputs[position] else {
            return self.wrong("the weight is absent");
        };
        let &[rows, cols] = &tensor.shape.dims[..] else {
            return self.wrong("the weight must be [out, in]");
        };
        self.check(
            tensor.shape.lead == crate::program::Lead::Fixed,
            "the weight must not depend on the step",
        )?;
        if !tensor.packed {
            self.check(
                tensor.dtype == DType::F32,
                "a weight that is not uploaded must be F32",
            )?;
            return Ok((Weight::Dense(tensor.f32()), rows, cols));
        }
        let packed = tensor.address as *const PackedWeight;
        // SAFETY: whoever binds the Program vouches for the handle.
        let (dtype, size) = unsafe { ((*packed).dtype(), ((*packed).rows(), (*packed).cols())) };
        self.check(
            dtype == tensor.dtype && size == (rows, cols),
            "the bound weight has another dtype or shape",
        )?;
        Ok((Weight::Packed(packed), rows, cols))
    }

    /// An output, checked to be of this dtype and shape.
    pub fn output(&self, position: usize, dtype: DType, shape: &Shape) -> Result<&Tensor, Error> {
        let output = &self.outputs[position];
        self.check(
            output.dtype == dtype && output.shape == *shape,
            "an output has another type than it must",
        )?;
        Ok(output)
    }
}

/// Attributes, read one after the other in table order.
pub struct Attrs<'a> {
    words: std::slice::Iter<'a, u32>,
}

impl<'a> Attrs<'a> {
    pub fn new(words: &'a [u32]) -> Attrs<'a> {
        Attrs {
            words: words.iter(),
        }
    }

    fn word(&mut self) -> Result<u32, Error> {
        match self.words.next() {
            Some(word) => Ok(*word),
            None => invalid("an attribute is missing"),
        }
    }

    pub fn i32(&mut self) -> Result<i32, Error> {
        Ok(self.word()? as i32)
    }

    pub fn f32(&mut self) -> Result<f32, Error> {
        Ok(f32::from_bits(self.word()?))
    }

    pub fn bool(&mut self) -> Result<bool, Error> {
        match self.word()? {
            0 => Ok(false),
            1 => Ok(true),
            word => invalid(format!("{word} is neither true nor false")),
        }
    }

    /// A whole number that is not negative.
    pub fn count(&mut self) -> Result<usize, Error> {
        match usize::try_from(self.i32()?) {
            Ok(count) => Ok(count),
            Err(_) => invalid("an attribute must not be negative"),
        }
    }

    /// One of `choices`.
    pub fn choice<T: Copy>(&mut self, choices: &[T]) -> Result<T, Error> {
        let word = self.word()?;
        match choices.get(word as usize) {
            Some(choice) => Ok(*choice),
            None => invalid(format!("there is no choice {word} of {}", choices.len())),
        }
    }

    /// An axis, counted from the end where negative.
    pub fn axis(&mut self, rank: usize) -> Result<usize, Error> {
        let axis = self.i32()? as i64;
        let normal = if axis < 0 { axis + rank as i64 } else { axis };
        if (0..rank as i64).contains(&normal) {
            Ok(normal as usize)
        } else {
            invalid(format!("the axis {axis} is outside {rank} dimensions"))
        }
    }

    pub fn i32s(&mut self) -> Result<Vec<i32>, Error> {
        let count = self.count()?;
        (0..count).map(|_| self.i32()).collect()
    }

    pub fn f64s(&mut self) -> Result<Vec<f64>, Error> {
        let count = self.count()?;
        let mut double = || {
            let low = u64::from(self.word()?);
            Ok(f64::from_bits(low | u64::from(self.word()?) << 32))
        };
        (0..count).map(|_| double()).collect()
    }

    /// Fails where attributes are left over.
    pub fn done(mut self) -> Result<(), Error> {
        match self.words.next() {
            None => Ok(()),
            Some(_) => invalid("there are attributes left over"),
        }
    }
}
