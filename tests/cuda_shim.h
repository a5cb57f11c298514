// What nn/fast/kernels.cu takes from CUDA, for a C++ compiler: the words, the thread's number, and a launch that is a loop.
// (Enough for kernels whose threads never wait for each other.)
#pragma once
#include <algorithm>
#include <cmath>
#include <string>
#include <type_traits>
#include <utility>

#define __global__
#define __device__ static inline
using std::exp;
using std::log;
using std::max;
using std::min;
using std::pow;
using std::sqrt;

struct Numbers { unsigned x, y, z; };
static thread_local Numbers threadIdx, blockIdx, blockDim, gridDim;

static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned __int128)a * b >> 64;
}

// A kernel's argument types as letters, like NumPy's: "f" a float, "*f" a pointer to floats, "V8" a struct of 8 bytes, …
template <class T> std::string letter() {
    if (std::is_pointer<T>::value) return "*" + letter<std::remove_cv_t<std::remove_pointer_t<T>>>();
    if (std::is_class<T>::value) return "V" + std::to_string(sizeof(std::conditional_t<std::is_void<T>::value, int, T>));
    return std::is_same<T, bool>::value ? "?" : std::is_same<T, unsigned char>::value ? "B" :
           std::is_same<T, int>::value ? "i" : std::is_same<T, unsigned>::value ? "I" :
           std::is_same<T, long long>::value ? "q" : std::is_same<T, unsigned long long>::value ? "Q" :
           std::is_same<T, float>::value ? "f" : std::is_same<T, double>::value ? "d" : "a type unknown to the shim";
}

template <class... A> const char *types(void (*)(A...)) {
    static std::string all;
    all.clear();
    ((all += letter<A>()), ...);
    return all.c_str();
}

template <class... A, size_t... I>
void loop(void (*kernel)(A...), unsigned first, unsigned grid, unsigned block, bool reverse, void **args,
          std::index_sequence<I...>) {
    gridDim = {grid, 1, 1};
    blockDim = {block, 1, 1};
    unsigned long long start = (unsigned long long)first * block, end = (unsigned long long)grid * block;
    for (unsigned long long i = start; i < end; i++) {
        unsigned long long number = reverse ? start + end - 1 - i : i;
        blockIdx = {(unsigned)(number / block), 0, 0};
        threadIdx = {(unsigned)(number % block), 0, 0};
        kernel(*(A *)args[I]...);
    }
}

template <class... A>
void launch(void (*kernel)(A...), unsigned first, unsigned grid, unsigned block, bool reverse, void **args) {
    loop(kernel, first, grid, block, reverse, args, std::index_sequence_for<A...>());
}

// One line per kernel, behind the kernels.
#define KERNEL(name)                                                                                        \
    extern "C" const char *types_##name() { return types(name); }                                           \
    extern "C" void launch_##name(unsigned first, unsigned grid, unsigned block, bool reverse, void **args) { \
        launch(name, first, grid, block, reverse, args);                                                     \
    }
