// The layers on a GPU, where array operations would pass over memory many times. The plain forms in nn/*.py are the
// reference; these give the same results.
//
// One thread computes one number (im2col: one column of a kernel's numbers; sgd: some). Neighbouring threads have
// neighbouring channels, so a warp reads and writes contiguous memory. No thread needs another's result: there is no
// shared memory and no atomic addition, so the same input gives the same bits. `count` is the number of threads that have
// work. Letters as in nn/__init__.py; maps are (N, H, W, C). An image has fewer than 2^31 numbers, a batch may have more:
// `long long`. (The compiler emits a 32-bit division where both operands fit.)
//
// "Must move": what any program reads and writes at least once. "Moves": what is read from and written to memory if
// caches keep what neighbours share. In bytes, for float32; double takes twice as much, except for masks.

#ifndef real
#define real float
#endif

__device__ long long thread() { return (long long)blockIdx.x * blockDim.x + threadIdx.x; }


// Convolution (§ 3.5) ------------------------------------------------------------------------------------------------

// columns[n, p, q, r, s, c] = x[n, p·stride + r − before, q·stride + s − before, first + c], 0 outside the map:
// what a kernel sees at each position, in the order of its own numbers. C channels of `channels`, from `first` on: a
// group's. A row has `width` ≥ R·S·C numbers: then come a one, whose product with ∂y is the bias's gradient, and zeros.
//
// count = N·P·Q·S·C: a thread loops over the kernel's R rows and divides for its position once, not R times.
//
// Must move: 4 read per number of x's C channels, 4 written per number of the columns. Moves that; a pixel is read
// R·S / stride² times, all but the first time from a cache. (A product that unrolls on the fly needs no columns in
// memory. They cost 8 bytes a number, written and read again, but cuBLAS computes the product.)
extern "C" __global__ void im2col(const real *x, real *columns, long long count, int H, int W, int channels, int first,
                                  int C, int P, int Q, int R, int S, int stride, int before, int width) {
    long long i = thread();
    if (i >= count) return;
    int c = i % C, s = i / C % S;
    long long position = i / C / S, n = position / Q / P;
    int q = position % Q, p = position / Q % P;
    int w = q * stride + s - before;
    real *row = columns + position * width;
    for (int r = 0; r < R; r++) {
        int h = p * stride + r - before;
        bool outside = h < 0 || h >= H || w < 0 || w >= W;
        row[(r * S + s) * C + c] = outside ? 0 : x[((n * H + h) * W + w) * channels + first + c];
    }
    if (c == 0 && s == 0)
        for (int k = R * S * C; k < width; k++) row[k] = k == R * S * C;
}

// The adjoint of im2col: each number of the columns (N·P·Q, R·S·C) is added to its pixel of dx. One thread per pixel and
// channel reads the positions that see it, so no two threads add to one number. In the order of the plain form: the
// same bits.
//
// Must move: 4 read per number of the columns, 4 written per number of dx's C channels. Moves that.
extern "C" __global__ void col2im(const real *columns, real *dx, long long count, int H, int W, int channels, int first,
                                  int C, int P, int Q, int R, int S, int stride, int before) {
    long long i = thread();
    if (i >= count) return;
    int c = i % C, w = i / C % W, h = i / C / W % H;
    long long n = i / C / W / H;
    real sum = 0;
    for (int r = 0; r < R; r++) {
        int p = h + before - r;
        if (p < 0 || p % stride || p / stride >= P) continue;
        for (int s = 0; s < S; s++) {
            int q = w + before - s;
            if (q < 0 || q % stride || q / stride >= Q) continue;
            long long position = (n * P + p / stride) * Q + q / stride;
            sum += columns[((position * R + r) * S + s) * C + c];
        }
    }
    dx[((n * H + h) * W + w) * channels + first + c] = sum;
}


// Biases and ReLU (§ 3.1) --------------------------------------------------------------------------------------------

// y = y + b, and max(0, that) with `relu`, in place: what follows a layer's product. y is (…, K). NaN stays NaN, as in
// np.maximum.
//
// Must move, per number: 4 read, 4 written (none if the product did it). Moves that.
extern "C" __global__ void bias(const real *b, real *y, long long count, int K, int relu) {
    long long i = thread();
    if (i >= count) return;
    real value = y[i] + b[i % K];
    y[i] = relu && value <= 0 ? 0 : value;
}

// ∂x = ∂y where y is positive, else 0: as a product, so that NaN stays NaN.
//
// Must move, per number: 8 read (∂y, y), 4 written. Moves that.
extern "C" __global__ void relu_backward(const real *dy, const real *y, real *dx, long long count) {
    long long i = thread();
    if (i >= count) return;
    dx[i] = dy[i] * (y[i] > 0);
}


// The exchange (§ 3.2) -----------------------------------------------------------------------------------------------

// joined (…, A + B) = the maps of two towers, a (…, A) and b (…, B), side by side.
//
// Must move, per number of `joined`: 4 read, 4 written. Moves that.
extern "C" __global__ void join(const real *a, const real *b, real *joined, long long count, int A, int B) {
    long long i = thread();
    if (i >= count) return;
    int c = i % (A + B);
    long long row = i / (A + B);
    joined[i] = c < A ? a[row * A + c] : b[row * B + c - A];
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
// anywhere in the window is the result, as in np.maximum. The last windows may reach beyond the map.
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
    int rows = min(size, H - p * stride), pixels = min(size, W - q * stride);
    real largest = window[0];
    int place = 0;
    for (int r = 0; r < rows; r++)
        for (int s = 0; s < pixels; s++) {
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

// The same where all of a window's equal largest values win, as in the 2012 code.
//
// Must move: 8 read per window (∂y, y), 4 read and 4 written per pixel (x, ∂x). Moves that.
extern "C" __global__ void max_pool_backward_all(const real *dy, const real *x, const real *y, real *dx, long long count,
                                                 int H, int W, int C, int P, int Q, int size, int stride) {
    long long i = thread();
    if (i >= count) return;
    int c = i % C, w = i / C % W, h = i / C / W % H;
    long long n = i / C / W / H;
    real sum = 0;
    for (int p = min(h / stride, P - 1); p >= 0 && h - p * stride < size; p--)
        for (int q = min(w / stride, Q - 1); q >= 0 && w - q * stride < size; q--) {
            long long o = ((n * P + p) * Q + q) * C + c;
            if (x[i] == y[o]) sum += dy[o];
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


// The loss (§ 3.5) ---------------------------------------------------------------------------------------------------

// e = exp(z − the row's largest), z (N, C).
//
// Must move, per number: 4 read, 4 written. Moves that.
extern "C" __global__ void exponentials(const real *z, const real *largest, real *e, long long count, int C) {
    long long i = thread();
    if (i >= count) return;
    e[i] = exp(z[i] - largest[i / C]);
}

// d = ∂loss/∂z = (softmax − one-hot) / N; losses[n] = −log softmax[n, label], NaN for a label that is no class. `sums`:
// of e's rows.
//
// Must move, per number: 4 read (e), 4 written (d). Moves that.
extern "C" __global__ void cross_entropy(const real *z, const real *largest, const real *e, const real *sums,
                                         const long long *labels, real *losses, real *d, long long count, int C, int N) {
    long long i = thread();
    if (i >= count) return;
    long long n = i / C, c = i % C, label = labels[n];
    d[i] = (e[i] / sums[n] - (c == label)) / N;
    if (c == label) losses[n] = log(sums[n]) - (z[i] - largest[n]);
    if (c == 0 && (label < 0 || label >= C)) losses[n] = sqrt(real(-1));
}


// The update (§ 5) ---------------------------------------------------------------------------------------------------

// Many arrays in one launch: w, v and g of each, its numbers, its first block, ε and decay.
struct Updates {
    real *w[32], *v[32];
    const real *g[32];
    long long count[32];
    int block[33];
    real rate[32], decay[32];
};

// v ← momentum · v − decay · ε · w − ε · ∂L/∂w;   w ← w + v;   or, not `inside`, with ε outside the velocity. A thread
// looks up its array once for `each` numbers, a block's width apart.
//
// Must move, per parameter: 12 read (w, v, g), 8 written (w, v). Moves that.
extern "C" __global__ void sgd(const Updates of, real momentum, int inside, int each) {
    int t = 0;
    while ((int)blockIdx.x >= of.block[t + 1]) t++;
    long long i = (long long)(blockIdx.x - of.block[t]) * each * blockDim.x + threadIdx.x;
    real *w = of.w[t], *v = of.v[t], rate = of.rate[t], decay = of.decay[t];
    const real *g = of.g[t];
    for (int k = 0; k < each && i < of.count[t]; k++, i += blockDim.x) {
        real change = decay * w[i] + g[i];
        v[i] = momentum * v[i] - (inside ? rate * change : change);
        w[i] += inside ? v[i] : rate * v[i];
    }
}
