/* Makes each fsync and fdatasync of a process as many milliseconds slower as the file $DISK_FILE says, at any moment.
   cc -shared -fPIC disk.c -o disk.so;  LD_PRELOAD=disk.so DISK_FILE=delay … */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static void wait_for_disk(void) {
    static int file = -1;
    char text[32] = {0};
    if (file < 0) file = open(getenv("DISK_FILE"), O_RDONLY | O_CLOEXEC);
    if (pread(file, text, sizeof text - 1, 0) > 0) usleep(1000 * atol(text));
}

int fsync(int fd) {
    wait_for_disk();
    return syscall(SYS_fsync, fd);
}

int fdatasync(int fd) {
    wait_for_disk();
    return syscall(SYS_fdatasync, fd);
}
