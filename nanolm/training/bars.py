"""Progress bars: tqdm's, in ASCII, that close when they are told to and never later."""
import functools


def bar(progress, **options):
    """Return a progress bar in ASCII, to be used by `with`; one that shows nothing if `progress` is false."""
    return _bars()(ascii=True, disable=not progress, dynamic_ncols=True, mininterval=0.5, leave=False, **options)


@functools.cache
def _bars():
    """Return the class of our bars: tqdm's, but closed by `with` only.

    tqdm's __del__ closes too, and shows a traceback if Ctrl-C came while the bar was being made (up to tqdm 4.69;
    later ones seldom).
    """
    from tqdm import tqdm

    class Bar(tqdm):
        def __del__(self):
            pass

    return Bar
