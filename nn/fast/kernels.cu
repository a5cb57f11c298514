// The layers on a GPU, where array operations would pass over memory many times. The plain forms in nn/*.py are the
// reference; these give the same results.
//
// One thread computes one number (or one column of a kernel's numbers, im2col). Neighbouring threads have neighbouring
// channels, so a warp reads and writes contiguous memory. No thread needs another's result: there is no shared memory
// and no atomic addition, so the same input gives the same bits. `count` is the number of threads that have work.
// Letters as in nn/__init__.py; maps are (N, H, W, C). An image has fewer than 2^31 numbers, a batch may have more:
// `long long`. (The compiler emits a 32-bit division where both operands fit.)
//
// "Must move": what any program reads and writes at least once. "Moves": what is read from and written to memory if
// caches keep what neighbours share. In bytes, for float32; double takes twice as much, except for masks.

#ifndef real
#define real float
#endif

__device__ long long thread() { return (long long)blockIdx.x * blockDim.x + threadIdx.x; }


// Convolution (§ 3.5) ------------------------------------------------------------------------------------------------

// The pixel at position `at` of a map with dilate − 1 zeros between its pixels: −1 if it is such a zero or outside.
__device__ int pixel(int at, int dilate, int length) {
    if (at < 0) return -1;
    if (dilate > 1) {
        if (at % dilate) return -1;
        at /= dilate;
    }
    return at < length ? at : -1;
}

// columns[n, p, q, r, s, c] = x[n, p·stride + r − before, q·stride + s − before, first + c], 0 outside the map:
// what a kernel sees at each position, in the order of its own numbers. C channels of `channels`, from `first` on: a
// group's. With x = ∂y, stride 1 and dilate = the layer's stride this serves the input's gradient.
//
// count = N·P·Q·S·C: a thread loops over the kernel's R rows and divides for its position once, not R times.
//
// Must move: 4 read per number of x's C channels, 4 written per number of the columns. Moves that; a pixel is read
// R·S / stride² times, all but the first time from a cache. (A product that unrolls on the fly needs no columns in
// memory. They cost 8 bytes a number, written and read again, but cuBLAS computes the product.)
extern "C" __global__ void im2col(const real *x, real *columns, long long count, int H, int W, int channels, int first,
                                  int C, int P, int Q, int R, int S, int stride, int before, int dilate) {
    long long i = thread();
    if (i >= count) return;
    int c = i % C, s = i / C % S;
    long long position = i / C / S, n = position / Q / P;
    int q = position % Q, p = position / Q % P;
    int w = pixel(q * stride + s - before, dilate, W);
    for (int r = 0; r < R; r++) {
        int h = pixel(p * stride + r - before, dilate, H);
        columns[((position * R + r) * S + s) * C + c] =
            h < 0 || w < 0 ? 0 : x[((n * H + h) * W + w) * channels + first + c];
    }
}


// Local response normalisation (§ 3.3) -------------------------------------------------------------------------------

__device__ real power(real d, real beta) {      // for the paper's β = 3/4 by two square roots, as in nn/lrn.py
    if (beta != real(0.75)) return pow(d, beta);
    real half = sqrt(d);
    return half * sqrt(half);
}

// y_i = x_i / d_i^β,   d_i = k + α Σ_{j ∈ window of i} x_j²,   window: i − half … i + half, where it exists.
// C is the channels of one group: groups are adjacent, like pixels.
//
// Must move, per number: 4 read (x), 8 written (y, d; without `keep`, at test time, y alone: 4). Moves that.
extern "C" __global__ void lrn_forward(const real *x, real *y, real *d, long long count, int C, int half, real alpha,
                                       real beta, real k, int keep) {
    long long i = thread();
    if (i >= count) return;
    int c = i % C;
    real sum = 0;
    for (int j = max(-half, -c); j <= min(half, C - 1 - c); j++) sum += x[i + j] * x[i + j];
    real own = k + alpha * sum;
    if (keep) d[i] = own;
    y[i] = x[i] / power(own, beta);
}

// ∂x_i = ∂y_i d_i^−β − 2 α β x_i Σ_{j: i ∈ window of j} ∂y_j y_j / d_j. The windows are symmetric: the same loop.
//
// Must move, per number: 12 read (∂y, x, d), 4 written (∂x). Moves that.
extern "C" __global__ void lrn_backward(const real *dy, const real *x, const real *d, real *dx, long long count, int C,
                                        int half, real alpha, real beta) {
    long long i = thread();
    if (i >= count) return;
    int c = i % C;
    real sum = 0;
    for (int j = max(-half, -c); j <= min(half, C - 1 - c); j++)
        sum += dy[i + j] * x[i + j] / (power(d[i + j], beta) * d[i + j]);
    dx[i] = dy[i] / power(d[i], beta) - 2 * alpha * beta * x[i] * sum;
}


// Overlapping max pooling (§ 3.4) ------------------------------------------------------------------------------------

// y = the largest value of each window, winner = its place there, r · size + s: of equal values the first. A NaN
// anywhere in the window is the result, as in np.maximum.
//
// Must move: 4 read per pixel; 5 written per window (y, winner; without `keep` 4). Moves that; a pixel is read once for
// each window over it, at most ⌈size / stride⌉² times, all but the first time from a cache.
extern "C" __global__ void max_pool_forward(const real *x, real *y, unsigned char *winner, long long count, int H,
                                            int W, int C, int P, int Q, int size, int stride, int keep) {
    long long i = thread();
    if (i >= count) return;
    int c = i % C, q = i / C % Q, p = i / C / Q % P;
    long long n = i / C / Q / P;
    const real *window = x + ((n * H + p * stride) * W + q * stride) * C + c;
    real largest = window[0];
    int place = 0;
    for (int r = 0; r < size; r++)
        for (int s = 0; s < size; s++) {
            real value = window[(r * W + s) * C];
            if (value > largest) place = r * size + s;
            if (value > largest || value != value) largest = value;
        }
    y[i] = largest;
    if (keep) winner[i] = place;
}

// ∂x = Σ ∂y over the windows that the pixel has won. One thread per pixel reads the windows over it, so no two threads
// add to one number. In the order of the plain form (rising places, so falling p and q): the same bits.
//
// Must move: 5 read per window (∂y, winner), 4 written per pixel. Moves that; a window is read by each pixel under it,
// size² times, all but the first time from a cache.
extern "C" __global__ void max_pool_backward(const real *dy, const unsigned char *winner, real *dx, long long count,
                                             int H, int W, int C, int P, int Q, int size, int stride) {
    long long i = thread();
    if (i >= count) return;
    int c = i % C, w = i / C % W, h = i / C / W % H;
    long long n = i / C / W / H;
    real sum = 0;
    for (int p = min(h / stride, P - 1); p >= 0 && h - p * stride < size; p--)
        for (int q = min(w / stride, Q - 1); q >= 0 && w - q * stride < size; q--) {
            long long o = ((n * P + p) * Q + q) * C + c;
            if (winner[o] == (h - p * stride) * size + w - q * stride) sum += dy[o];
        }
    dx[i] = sum;
}


// Dropout (§ 4.2) ----------------------------------------------------------------------------------------------------

// Number `index` of the 32-bit numbers that np.random.Philox(key) draws. Philox4x64-10 (Salmon et al. 2011) mixes a
// counter of four 64-bit words, with a key of two, in ten rounds; the result is four words, eight of our numbers.
__device__ unsigned int philox(unsigned long long index, unsigned long long key0, unsigned long long key1) {
    unsigned long long a = index / 8 + 1, b = 0, c = 0, d = 0;              // NumPy increments before it draws
    for (int round = 0; round < 10; round++) {
        unsigned long long a_high = __umul64hi(a, 0xD2E7470EE14C6C93ULL), a_low = a * 0xD2E7470EE14C6C93ULL;
        unsigned long long c_high = __umul64hi(c, 0xCA5A826395121157ULL), c_low = c * 0xCA5A826395121157ULL;
        a = c_high ^ b ^ key0;
        b = c_low;
        c = a_high ^ d ^ key1;
        d = a_low;
        key0 += 0x9E3779B97F4A7C15ULL;
        key1 += 0xBB67AE8584CAA73BULL;
    }
    int lane = index / 2 % 4;
    unsigned long long word = lane == 0 ? a : lane == 1 ? b : lane == 2 ? c : d;
    return index % 2 ? word >> 32 : word;                                   // the low half comes first
}

// y = x · factor where the neuron's random number reaches `threshold` (rate · 2^32), else 0. x is (N, F), part of the
// columns of a layer that has `all` in all its towers. The layer's random numbers are counted row by row over the whole
// batch; `first` is the number of x[0, 0].
//
// Must move, per neuron: 4 read, 5 written (y, mask). Moves that. (Eight neighbours compute the same four words: the
// layers are small, and sharing words would complicate the towers' edges.)
extern "C" __global__ void dropout(const real *x, real *y, bool *mask, long long count, int F,
                                   unsigned long long first, int all,
                                   unsigned long long key0, unsigned long long key1, unsigned int threshold,
                                   real factor) {
    long long i = thread();
    if (i >= count) return;
    bool kept = philox(i / F * all + first + i % F, key0, key1) >= threshold;
    mask[i] = kept;
    y[i] = x[i] * (kept ? factor : 0);
}


// The update (§ 5) ---------------------------------------------------------------------------------------------------

// v ← momentum · v − decay · ε · w − ε · ∂L/∂w;   w ← w + v.
//
// Must move, per parameter: 12 read (w, v, g), 8 written (w, v). Moves that.
extern "C" __global__ void sgd(real *w, real *v, const real *g, long long count, real momentum, real decay, real rate) {
    long long i = thread();
    if (i >= count) return;
    v[i] = momentum * v[i] - rate * (decay * w[i] + g[i]);
    w[i] += v[i];
}
