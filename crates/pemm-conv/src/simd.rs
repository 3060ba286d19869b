//! The vector unit, chosen at run time.
//!
//! A kernel is a [`Task`], written once over [`Lanes`]; [`dispatch`] runs it inside a function that
//! is compiled for the best instruction set the processor has. Pulp, which does the same, was
//! weighed and left: without FMA its multiply-add is a call into libm for each number.

use std::sync::OnceLock;

/// One instruction set: a vector of `LANES` numbers and what can be done with it.
///
/// # Safety
/// The methods may use instructions of their set; they are to be called only inside [`dispatch`],
/// which has asked the processor first. Pointers must be valid for the numbers read or written
/// (`LANES`, or `count` in the partial forms); no alignment is needed.
pub(crate) unsafe trait Lanes: Copy {
    /// The vector.
    type Vector: Copy;
    /// Numbers in a vector.
    const LANES: usize;
    /// Which one it is.
    const LEVEL: Level;
    /// Rows of the product of transformed tiles, with two vectors each.
    const TILES: usize;

    unsafe fn splat(value: f32) -> Self::Vector;
    unsafe fn load(from: *const f32) -> Self::Vector;
    unsafe fn load_part(from: *const f32, count: usize) -> Self::Vector;
    unsafe fn store(to: *mut f32, value: Self::Vector);
    /// Stores past the caches, which then need not fetch what stood there; `to` is aligned to a whole
    /// vector. [`fence`] has to follow before another thread reads it.
    unsafe fn stream(to: *mut f32, value: Self::Vector);
    unsafe fn store_part(to: *mut f32, count: usize, value: Self::Vector);
    unsafe fn add(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    unsafe fn sub(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    unsafe fn mul(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a·b + c, fused where the set fuses.
    unsafe fn mul_add(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// c − a·b, fused where the set fuses.
    unsafe fn neg_mul_add(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// `yes` where a > b, otherwise `no`.
    unsafe fn select_greater(
        a: Self::Vector,
        b: Self::Vector,
        yes: Self::Vector,
        no: Self::Vector,
    ) -> Self::Vector;

    /// The first `count` numbers, the whole vector if `count` is at least `LANES`.
    #[inline(always)]
    unsafe fn load_up_to(from: *const f32, count: usize) -> Self::Vector {
        // SAFETY: as the caller's.
        unsafe {
            if count >= Self::LANES { Self::load(from) } else { Self::load_part(from, count) }
        }
    }

    /// Stores the first `count` numbers, the whole vector if `count` is at least `LANES`.
    #[inline(always)]
    unsafe fn store_up_to(to: *mut f32, count: usize, value: Self::Vector) {
        // SAFETY: as the caller's.
        unsafe {
            if count >= Self::LANES {
                Self::store(to, value)
            } else {
                Self::store_part(to, count, value)
            }
        }
    }
}

/// A kernel that can run on any [`Lanes`]. Mark `run` and all it calls `#[inline(always)]`:
/// what is not inlined is compiled for the baseline processor.
pub(crate) trait Task {
    /// What it returns.
    type Output;
    /// Does the work.
    ///
    /// # Safety
    /// Only [`dispatch`] may call it, and the pointers a task carries must be valid for its sizes.
    unsafe fn run<L: Lanes>(self) -> Self::Output;
}

/// The instruction sets with a fast path, in rising order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Plain Rust in groups of eight; the compiler's baseline (SSE2, NEON).
    Portable,
    /// AVX2 and FMA: 8 lanes.
    Avx2,
    /// AVX-512F: 16 lanes.
    Avx512,
}

impl Level {
    /// Its name in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }
}

/// The instruction set in use, the same for the whole process: the best the processor has, or a
/// lower one if `PEMM_SIMD` is `portable` or `avx2`.
pub fn level() -> Level {
    static LEVEL: OnceLock<Level> = OnceLock::new();
    *LEVEL.get_or_init(|| {
        let ceiling = match std::env::var("PEMM_SIMD").as_deref() {
            Ok("portable") => Level::Portable,
            Ok("avx2") => Level::Avx2,
            _ => Level::Avx512,
        };
        best().min(ceiling)
    })
}

fn best() -> Level {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        let wide = is_x86_feature_detected!("avx512f");
        return if wide { Level::Avx512 } else { Level::Avx2 };
    }
    Level::Portable
}

/// Lanes of the level in use, for sizing padded buffers.
pub(crate) fn lanes() -> usize {
    match level() {
        Level::Avx512 => 16,
        Level::Avx2 | Level::Portable => 8,
    }
}

/// Runs the task on the best vector unit.
///
/// # Safety
/// As [`Task::run`]: the task's pointers must be valid.
pub(crate) unsafe fn dispatch<T: Task>(task: T) -> T::Output {
    // SAFETY: `level` has asked the processor for the features; the pointers are the caller's word.
    unsafe {
        match level() {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => x86::run_avx512(task),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => x86::run_avx2(task),
            _ => task.run::<Portable>(),
        }
    }
}

/// Makes what [`Lanes::stream`] stored visible to other threads as ordinary stores are.
pub(crate) fn fence() {
    #[cfg(target_arch = "x86_64")]
    if level() > Level::Portable {
        // SAFETY: the instruction is part of the baseline.
        unsafe { std::arch::x86_64::_mm_sfence() }
    }
}

/// Asks for the line of the cache that holds this address, if it is one, without waiting.
#[inline(always)]
pub(crate) fn prefetch(from: *const f32) {
    // SAFETY: a hint, which reads nothing that a program sees; the instruction is part of the baseline.
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(from.cast());
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = from;
}

/// Eight numbers in an array; the compiler makes of it what the baseline has.
#[derive(Clone, Copy)]
struct Portable;

#[inline(always)]
fn each(
    a: [f32; 8],
    b: [f32; 8],
    c: [f32; 8],
    function: impl Fn(f32, f32, f32) -> f32,
) -> [f32; 8] {
    let mut out = [0.0; 8];
    for lane in 0..8 {
        out[lane] = function(a[lane], b[lane], c[lane]);
    }
    out
}

// SAFETY: plain Rust, on any processor; pointers are read and written within the counts.
unsafe impl Lanes for Portable {
    type Vector = [f32; 8];
    const LANES: usize = 8;
    const LEVEL: Level = Level::Portable;
    const TILES: usize = 4;

    #[inline(always)]
    unsafe fn splat(value: f32) -> [f32; 8] {
        [value; 8]
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> [f32; 8] {
        // SAFETY: the caller gives 8 readable numbers.
        unsafe { from.cast::<[f32; 8]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn load_part(from: *const f32, count: usize) -> [f32; 8] {
        let mut out = [0.0; 8];
        for (lane, value) in out.iter_mut().enumerate().take(count) {
            // SAFETY: the caller gives `count` readable numbers.
            *value = unsafe { from.add(lane).read() };
        }
        out
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, value: [f32; 8]) {
        // SAFETY: the caller gives 8 writable numbers.
        unsafe { to.cast::<[f32; 8]>().write_unaligned(value) }
    }
    #[inline(always)]
    unsafe fn stream(to: *mut f32, value: [f32; 8]) {
        // SAFETY: as the caller's.
        unsafe { Self::store(to, value) }
    }
    #[inline(always)]
    unsafe fn store_part(to: *mut f32, count: usize, value: [f32; 8]) {
        for (lane, value) in value.iter().enumerate().take(count) {
            // SAFETY: the caller gives `count` writable numbers.
            unsafe { to.add(lane).write(*value) }
        }
    }
    #[inline(always)]
    unsafe fn add(a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        each(a, b, a, |a, b, _| a + b)
    }
    #[inline(always)]
    unsafe fn sub(a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        each(a, b, a, |a, b, _| a - b)
    }
    #[inline(always)]
    unsafe fn mul(a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        each(a, b, a, |a, b, _| a * b)
    }
    #[inline(always)]
    unsafe fn mul_add(a: [f32; 8], b: [f32; 8], c: [f32; 8]) -> [f32; 8] {
        each(a, b, c, |a, b, c| a * b + c)
    }
    #[inline(always)]
    unsafe fn neg_mul_add(a: [f32; 8], b: [f32; 8], c: [f32; 8]) -> [f32; 8] {
        each(a, b, c, |a, b, c| c - a * b)
    }
    #[inline(always)]
    unsafe fn select_greater(a: [f32; 8], b: [f32; 8], yes: [f32; 8], no: [f32; 8]) -> [f32; 8] {
        let mut out = no;
        for lane in 0..8 {
            if a[lane] > b[lane] {
                out[lane] = yes[lane];
            }
        }
        out
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Lanes, Level, Task};
    use std::arch::x86_64::*;

    #[target_feature(enable = "avx512f,avx2,fma")]
    pub(super) unsafe fn run_avx512<T: Task>(task: T) -> T::Output {
        // SAFETY: the features are those of this function; pointers are the caller's word.
        unsafe { task.run::<Avx512>() }
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn run_avx2<T: Task>(task: T) -> T::Output {
        // SAFETY: as above.
        unsafe { task.run::<Avx2>() }
    }

    #[derive(Clone, Copy)]
    pub(super) struct Avx512;

    #[inline(always)]
    fn first(count: usize) -> __mmask16 {
        ((1u32 << count) - 1) as __mmask16
    }

    /// The methods of a set are one intrinsic each; the macro keeps the table readable.
    macro_rules! intrinsics {
        ($($name:ident($($argument:ident: $kind:ty),*) -> $out:ty = $body:expr;)*) => {
            $(#[inline(always)]
            unsafe fn $name($($argument: $kind),*) -> $out {
                // SAFETY: `dispatch` has checked the features; the caller vouches for pointers.
                unsafe { $body }
            })*
        };
    }

    // SAFETY: each method is the intrinsic of its name, on the numbers its contract allows.
    unsafe impl Lanes for Avx512 {
        type Vector = __m512;
        const LANES: usize = 16;
        const LEVEL: Level = Level::Avx512;
        const TILES: usize = 8;
        intrinsics! {
            splat(value: f32) -> __m512 = _mm512_set1_ps(value);
            load(from: *const f32) -> __m512 = _mm512_loadu_ps(from);
            load_part(from: *const f32, count: usize) -> __m512 =
                _mm512_maskz_loadu_ps(first(count), from);
            store(to: *mut f32, value: __m512) -> () = _mm512_storeu_ps(to, value);
            stream(to: *mut f32, value: __m512) -> () = _mm512_stream_ps(to, value);
            store_part(to: *mut f32, count: usize, value: __m512) -> () =
                _mm512_mask_storeu_ps(to, first(count), value);
            add(a: __m512, b: __m512) -> __m512 = _mm512_add_ps(a, b);
            sub(a: __m512, b: __m512) -> __m512 = _mm512_sub_ps(a, b);
            mul(a: __m512, b: __m512) -> __m512 = _mm512_mul_ps(a, b);
            mul_add(a: __m512, b: __m512, c: __m512) -> __m512 = _mm512_fmadd_ps(a, b, c);
            neg_mul_add(a: __m512, b: __m512, c: __m512) -> __m512 = _mm512_fnmadd_ps(a, b, c);
            select_greater(a: __m512, b: __m512, yes: __m512, no: __m512) -> __m512 =
                _mm512_mask_mov_ps(no, _mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b), yes);
        }
    }

    #[derive(Clone, Copy)]
    pub(super) struct Avx2;

    /// Sliding window: eight lanes from `8 - count` on have their first `count` set.
    static WINDOW: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

    #[inline(always)]
    unsafe fn mask(count: usize) -> __m256i {
        // SAFETY: `count` is at most 8, so the eight lanes lie in the window.
        unsafe { _mm256_loadu_si256(WINDOW.as_ptr().add(8 - count).cast()) }
    }

    // SAFETY: each method is the intrinsic of its name, on the numbers its contract allows.
    unsafe impl Lanes for Avx2 {
        type Vector = __m256;
        const LANES: usize = 8;
        const LEVEL: Level = Level::Avx2;
        const TILES: usize = 4;
        intrinsics! {
            splat(value: f32) -> __m256 = _mm256_set1_ps(value);
            load(from: *const f32) -> __m256 = _mm256_loadu_ps(from);
            load_part(from: *const f32, count: usize) -> __m256 =
                _mm256_maskload_ps(from, mask(count));
            store(to: *mut f32, value: __m256) -> () = _mm256_storeu_ps(to, value);
            stream(to: *mut f32, value: __m256) -> () = _mm256_stream_ps(to, value);
            store_part(to: *mut f32, count: usize, value: __m256) -> () =
                _mm256_maskstore_ps(to, mask(count), value);
            add(a: __m256, b: __m256) -> __m256 = _mm256_add_ps(a, b);
            sub(a: __m256, b: __m256) -> __m256 = _mm256_sub_ps(a, b);
            mul(a: __m256, b: __m256) -> __m256 = _mm256_mul_ps(a, b);
            mul_add(a: __m256, b: __m256, c: __m256) -> __m256 = _mm256_fmadd_ps(a, b, c);
            neg_mul_add(a: __m256, b: __m256, c: __m256) -> __m256 = _mm256_fnmadd_ps(a, b, c);
            select_greater(a: __m256, b: __m256, yes: __m256, no: __m256) -> __m256 =
                _mm256_blendv_ps(no, yes, _mm256_cmp_ps::<_CMP_GT_OQ>(a, b));
        }
    }
}
