//! Depthwise 3×3 convolution, bias and rectifier, a few rows of the image at a time.

use std::ops::Range;

use super::aligned::{Aligned, Plain};
use super::element::Element;
use super::lanes::Lanes;
use super::rows::{Rows, WORD};

/// The longest row of any image that is convolved, in values: zeros of this length stand above and below images.
const LONGEST_ROW: usize = 2048;

/// One depthwise convolution.
pub(super) struct Depthwise {
    /// `[9, channels]`.
    pub(super) kernel: Aligned<f32>,
    /// `[channels]`.
    pub(super) bias: Aligned<f32>,
    /// Rows of the input image.
    pub(super) height: usize,
    /// Columns of the input image.
    pub(super) width: usize,
    /// Channels of input and output.
    pub(super) channels: usize,
    /// 1 or 2, along both axes; 2 only where both extents are even.
    pub(super) stride: usize,
    /// Stands for the rows beyond the image.
    pub(super) zeros: Aligned<f32>,
}

/// Padding as TensorFlow's `SAME`: with stride 1 on all sides, with stride 2 (and even extents) behind the end only.
impl Depthwise {
    /// A convolution of images `[height, width, channels]`.
    pub(super) fn new(
        kernel: Aligned<f32>,
        bias: Aligned<f32>,
        [height, width]: [usize; 2],
        channels: usize,
        stride: usize,
    ) -> Self {
        assert!(kernel.len() == 9 * channels && bias.len() == channels, "nine taps and a bias for each channel");
        assert!(channels.is_multiple_of(WORD / 2) && width * channels <= LONGEST_ROW, "a row of YAMNet's size");
        assert!(width >= 2, "the first and the last pixel of a row are two");
        assert!(stride == 1 || (stride == 2 && height.is_multiple_of(2) && width.is_multiple_of(2)));
        Self { kernel, bias, height, width, channels, stride, zeros: Aligned::zeroed(LONGEST_ROW) }
    }

    /// Rows and columns of the output image.
    pub(super) fn extents_out(&self) -> [usize; 2] {
        [self.height / self.stride, self.width / self.stride]
    }

    /// Values of an input image.
    pub(super) fn image_len(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// The three rows of `image` below which the output row `y` lies.
    fn rows_around<'a>(&'a self, image: &'a [f32], y: usize) -> [&'a [f32]; 3] {
        let len = self.width * self.channels;
        let first = (y * self.stride) as isize - isize::from(self.stride == 1);
        std::array::from_fn(|dy| {
            usize::try_from(first + dy as isize)
                .ok()
                .and_then(|row| image.get(row * len..(row + 1) * len))
                .unwrap_or(&self.zeros[..len])
        })
    }
}

/// The rows `lines` of the output images, counted through all images of `images` `[images, height, width, channels]`.
///
/// # Safety
/// As for all methods of [`Lanes`]; `images` holds the images of `lines`, and `out` has been reshaped to their pixels.
#[inline(always)]
pub(super) unsafe fn depthwise<L: Lanes, T: Element + Plain>(
    layer: &Depthwise,
    images: &[f32],
    lines: Range<usize>,
    out: &mut Rows<T>,
) {
    let [height_out, width_out] = layer.extents_out();
    let row_bytes = out.words() * size_of::<u64>();
    let mut pixel = 0;
    for line in lines {
        let image = &images[line / height_out * layer.image_len()..][..layer.image_len()];
        let rows = layer.rows_around(image, line % height_out);
        for channel in (0..layer.channels).step_by(L::COUNT) {
            // SAFETY: `channel` plus a register lies within the channels; `out` has room for `width_out` more pixels.
            unsafe {
                let source = Source {
                    rows: rows.map(|row| row.as_ptr().add(channel)),
                    channels: layer.channels,
                    taps: std::array::from_fn(|tap| L::load(layer.kernel.as_ptr().add(tap * layer.channels + channel))),
                    bias: L::load(layer.bias.as_ptr().add(channel)),
                };
                let values = out.values.as_mut_ptr().add(pixel * layer.channels + channel);
                let bits = out.nonzero.as_mut_ptr().cast::<u8>().add(pixel * row_bytes + channel / 8);
                let put = |x: usize, sum: L| {
                    let nonzero = T::store_rectified(sum, values.add(x * layer.channels));
                    let bits = bits.add(x * row_bytes);
                    if L::COUNT == 16 {
                        bits.cast::<[u8; 2]>().write(nonzero.to_le_bytes());
                    } else {
                        bits.write(nonzero as u8);
                    }
                };
                if layer.stride == 1 {
                    source.stride_1(width_out, put);
                } else {
                    source.stride_2(width_out, put);
                }
            }
        }
        pixel += width_out;
    }
}

/// A register's worth of channels of three rows.
struct Source<L> {
    rows: [*const f32; 3],
    channels: usize,
    taps: [L; 9],
    bias: L,
}

impl<L: Lanes> Source<L> {
    /// The three values of column `x`.
    #[inline(always)]
    unsafe fn column(&self, x: usize) -> [L; 3] {
        // SAFETY: the caller asks for columns of the image only.
        unsafe { self.rows.map(|row| L::load(row.add(x * self.channels))) }
    }

    /// The sum over the columns from `FIRST` on of the kernel, row by row; fewer than three `columns` leave out the others.
    #[inline(always)]
    unsafe fn sum<const FIRST: usize, const N: usize>(&self, columns: [[L; 3]; N]) -> L {
        let mut sum = self.bias;
        for dy in 0..3 {
            for (dx, column) in (FIRST..).zip(columns) {
                // SAFETY: as for all methods of lanes.
                sum = unsafe { column[dy].mul_add(self.taps[dy * 3 + dx], sum) };
            }
        }
        sum
    }

    #[inline(always)]
    unsafe fn stride_1(&self, width: usize, mut put: impl FnMut(usize, L)) {
        // SAFETY: the first and the last pixel leave out the column beyond the image; YAMNet's images have at least two.
        unsafe {
            let (mut left, mut middle) = (self.column(0), self.column(1));
            put(0, self.sum::<1, 2>([left, middle]));
            for x in 1..width - 1 {
                let right = self.column(x + 1);
                put(x, self.sum::<0, 3>([left, middle, right]));
                (left, middle) = (middle, right);
            }
            put(width - 1, self.sum::<0, 2>([left, middle]));
        }
    }

    #[inline(always)]
    unsafe fn stride_2(&self, width: usize, mut put: impl FnMut(usize, L)) {
        // SAFETY: the last pixel leaves out the column beyond the image.
        unsafe {
            let mut left = self.column(0);
            for x in 0..width - 1 {
                let (middle, right) = (self.column(2 * x + 1), self.column(2 * x + 2));
                put(x, self.sum::<0, 3>([left, middle, right]));
                left = right;
            }
            put(width - 1, self.sum::<0, 2>([left, self.column(2 * width - 1)]));
        }
    }
}
