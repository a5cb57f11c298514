"""The modules behind data.py: image files in, arrays of views out. One subject per file, in the order of use:

    common.py     errors that a user can fix; random draws
    arrays.py     sources that are arrays: Fashion-MNIST, MNIST's idx files, CIFAR-10, .npz files
    download.py   fetching CIFAR-10
    items.py      image files, alone or in an archive: where their bytes are
    labels.py     ImageNet's classes; files of labels
    sources.py    sources that are image files: folders, ImageNet's archives, Kaggle's and Tiny-ImageNet's layouts
    decode.py     the bytes of one file → a square of pixels (§ 2)
    make_shard.py one shard of what is prepared: the work of a process
    prepare.py    a source → shards, once for all runs (§ 2)
    shards.py     reading and checking what was prepared
    images.py     many images as one array: prepared shards, or files decoded at use
    load.py       any source → training, validation and test set
    views.py      mean, colour noise, crops, mirrors, the ten views (§ 4.1)
    prefetch.py   batches made while the net computes (§ 4.1)
    pictures.py   contact sheets, sheets of augmentations
"""
